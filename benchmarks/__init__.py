"""How fast kernels in containers are, against local ones and against what else runs kernels in containers."""
