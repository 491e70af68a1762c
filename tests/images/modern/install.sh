# Run by scripts/images.py in a container of the Debian image, in the folder of this file.
set -eu
# The image belongs to pip, as the official Python images do.
rm /usr/lib/python3.11/EXTERNALLY-MANAGED
if [ -f ca.pem ]; then export PIP_CERT="$PWD/ca.pem"; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# A pip that runs from its wheel takes itself for installed.
python3 pip.whl/pip install --ignore-installed -r pip.txt
python3 -m pip install -r requirements.txt
rm -rf /tmp/* /root/.cache
