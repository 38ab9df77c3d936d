package webchat

import "net/http"

// Visitor tells whose session a request carries, for other parts of the same site; ok is false without one.
func (p *Page) Visitor(r *http.Request) (s Session, ok bool, err error) { return p.session(r) }
