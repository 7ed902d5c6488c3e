"""The weights store as who looks after it sees it: S3 on AWS, versitygw on this machine.

Model stores lie below ``stores/``, what they are built from below ``sources/``. A store is what
its ``store.json`` says: that is written last and removed first, so a prefix without it is none.
"""
