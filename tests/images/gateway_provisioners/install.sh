# Run by scripts/images.py in a container of the modern image, in the folder of this file.
# Makes of it an image for gateway_provisioners, as its documentation says ("Bringing your own kernel image").
set -eu
if [ -f ca.pem ]; then export PIP_CERT="$PWD/ca.pem"; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
python3 -m pip install -r requirements.txt
ln -s python3 /usr/bin/python
jupyter image-bootstrap install --languages python
chmod 0755 /usr/local/bin/bootstrap-kernel.sh
rm -rf /tmp/* /root/.cache
