"""Faults between the service and its chain: what a network, a provider and a lagging node do to requests and answers.

`faults` decides and alters, without any transport, deterministic from a seed. `proxy` puts it as an HTTP server before
a real node; `wrapped` puts it before an RPC object of the same process. The service's own code is not here.
"""
