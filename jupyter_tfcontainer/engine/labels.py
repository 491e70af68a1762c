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
# The folder that is its home: a container that runs keeps it from being reset.
HOME = f"{NAMESPACE}.home"
# A container in which something is tried for a moment, such as a GPU route before anything large is pulled, and the
# image with nothing in it that this takes. Its value is the user id of whoever does it.
TRIAL = f"{NAMESPACE}.trial"

# Of images.

# How it came to be: prepared, built or snapshot.
ORIGIN = f"{NAMESPACE}.origin"
# Name and id of the image that it stands on.
PARENT = f"{NAMESPACE}.parent"
PARENT_ID = f"{NAMESPACE}.parent-id"
# What it was built from, as JSON that builds it again.
RECIPE = f"{NAMESPACE}.recipe"
