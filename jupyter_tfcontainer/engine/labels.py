"""Labels: how a container of ours is known, by every process and after every crash.

Anyone who may talk to the engine reads them: no secrets.
"""

NAMESPACE = "org.jupyter.tfcontainer"
VERSION = f"{NAMESPACE}.version"
ENVIRONMENT = f"{NAMESPACE}.environment"
WORKSPACE = f"{NAMESPACE}.workspace"
# The user id of whoever started it: on a shared engine, one person's list is not another's.
OWNER = f"{NAMESPACE}.owner"
# The folder with its control socket, state file and lock.
FOLDER = f"{NAMESPACE}.folder"
# An image with nothing in it, in which a GPU route is tried before anything large is pulled.
TRIAL = f"{NAMESPACE}.trial"
