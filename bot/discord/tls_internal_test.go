package discord

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// Discord's servers speak HTTP/2 where they can, and the gateway's connection must not.
func TestGatewayConnectsBesideHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("the gateway was asked by %s", r.Proto)
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = ws.Close(websocket.StatusNormalClosure, "") // that it stood is enough
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	p := idle(t, nil)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	transport := p.dialClient.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	ws, _, err := websocket.Dial(t.Context(), strings.Replace(server.URL, "https", "wss", 1), &websocket.DialOptions{HTTPClient: p.dialClient})
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	transport.CloseIdleConnections()
}
