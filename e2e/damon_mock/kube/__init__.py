"""An embedded Kubernetes API server: in memory, over real HTTP, for tests and the demo.

It behaves as kube-apiserver does wherever a client of this project can tell the difference:
versions, watches, pages, patches, field ownership, validation by the installed CRDs, deletion.
`server.ApiServer` is the way in.

`make test-kube` runs tests/mock_kube against the API server of a kind cluster too, of the version
that `discovery.VERSION` names: what these tests say was confirmed there. With that it is frozen. It
grows only by what a test of the product needs and that judge has passed.

Known differences from kube-apiserver:

- No access control, admission policies or webhooks, quotas, protobuf. TLS and one token are there.
- Refused, not ignored: JSON patch, deletion of collections, orphaning, `sendInitialEvents`,
  `resourceVersionMatch`, the binding subresource.
- Built-in kinds have no schema: unknown fields stay, types are not checked, and a pod gets only
  the defaults that this project reads: no token volume, no tolerations.
- managedFields name leaves and list items, without the "." of a map; what the server fills into
  built-in kinds belongs to nobody.
- What controllers do happens within the request: garbage collection, emptying a namespace, removing
  a CRD's objects. A foreground deletion is a background one.
- Of a pod's log and proxy subresources only GET is served, and no kubelet is asked: tests say what
  one would answer (`kubelets.Kubelets`). exec and attach are not there.
- A pod waits for its kubelet only if its Node names a kubelet version.
- A list of a version from the future is refused at once, not after three seconds. Bookmarks come
  every five seconds, not every minute.
- Messages are those of kube-apiserver where the tests read them; details that name a kind there
  may name the plural here.
"""
