"""Notebooks on legacy TensorFlow, each kernel in a GPU container of its own."""

from typing import TYPE_CHECKING

__version__: str

if not TYPE_CHECKING:  # else each name of this package would be taken for a text

    def __getattr__(name):  # noqa: ANN001, ANN202 - module attributes on demand, PEP 562
        # Read when somebody asks: to find it takes longer than most commands do.
        if name == "__version__":
            from importlib.metadata import version

            globals()[name] = version(__name__)
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    # Imported here: `jupyter execute` loads the provisioner and needs no web application.
    from .server.app import TFContainerApp

    return [{"module": "jupyter_tfcontainer", "app": TFContainerApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-tfcontainer"}]
