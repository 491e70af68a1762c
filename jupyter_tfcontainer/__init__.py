"""Notebooks on legacy TensorFlow, each kernel in a GPU container of its own."""

from importlib.metadata import version

__version__ = version("jupyter_tfcontainer")


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    # Imported here: `jupyter execute` loads the provisioner and needs no web application.
    from .app import TFContainerApp

    return [{"module": "jupyter_tfcontainer", "app": TFContainerApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-tfcontainer"}]
