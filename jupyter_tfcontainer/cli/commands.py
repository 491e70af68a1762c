"""The commands, in the order of the help, and what it says of each; by the module that has them."""

COMMANDS = {
    "doctor": {"doctor": "see whether kernels can run here, and what to do if not"},
    "catalog": {"catalog": "which TensorFlow releases there are, and which of them run here"},
    "environments": {
        "list": "list the environments",
        "show": "show an environment, or an image of the catalog, and whether it runs here",
        "create": "make an environment: a TensorFlow release, or any image",
        "copy": "copy an environment to one of your own",
        "delete": "delete an environment",
        "export": "write an environment to a file",
        "import": "make an environment from such a file",
    },
    "images": {
        "images": "list the images",
        "pull": "fetch an image from a registry",
        "prepare": "give an image ipykernel",
        "build": "build an image",
        "snapshot": "make an image of a running container",
        "load": "read images from a file",
        "save": "write an image to a file",
        "rmi": "remove images",
    },
    "containers": {
        "ps": "list the containers",
        "logs": "print the log of a container",
        "ports": "list the ports of a container",
        "stop": "end containers, and the kernels in them",
    },
    "shells": {
        "shell": "a shell in a container",
        "exec": "run a command in a container",
    },
    "disk": {
        "disk": "show what takes room on the disk, and free it",
        "reset-home": "empty the home of an environment",
    },
}

HELP = {name: text for texts in COMMANDS.values() for name, text in texts.items()}
