"""`manage.py benchmark`: the desk beside the floor under it and the way it was done before, in one run.

`run` puts it together; `prepare`, `drain`, `sink` and the two WSGI modules run in processes of their own.
"""
