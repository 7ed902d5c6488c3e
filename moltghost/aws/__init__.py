"""AWS as it is: the only package that imports boto3.

It asks and never creates: what an account has and lets one do (`preflight`), what things cost
(`prices`, `cost`). Whatever is bought or changed on AWS is a resource of a stack.
"""
