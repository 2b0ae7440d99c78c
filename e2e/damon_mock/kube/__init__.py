"""An embedded Kubernetes API server: in memory, over real HTTP, for tests and the demo.

It behaves as kube-apiserver does wherever a client of this project can tell the difference:
versions, watches, pages, patches, field ownership, validation by the installed CRDs, deletion.
`server.ApiServer` is the way in.
"""
