# Run by scripts/images.py in a container of the bare image, in the folder of this file.
# Makes what tensorflow/tensorflow:1.2.1 was: Python 2.7, Jupyter, /notebooks, /run_jupyter.sh.
set -eu
ln -s python2.7 /usr/bin/python
ln -s python2.7 /usr/bin/python2
if [ -f ca.pem ]; then export PIP_CERT="$PWD/ca.pem"; fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_PYTHON_VERSION_WARNING=1
# A pip that runs from its wheel takes itself for installed.
python pip.whl/pip install --ignore-installed -r pip.txt setuptools==44.1.1 wheel==0.37.1
python -m pip install -r requirements.txt
python -m ipykernel.kernelspec
# The official images name this kernel as the default, whatever their Python.
install -D -m 644 jupyter_notebook_config.json /root/.jupyter/jupyter_notebook_config.json
install -m 755 run_jupyter.sh /run_jupyter.sh
mkdir /notebooks
rm -rf /tmp/* /root/.cache
