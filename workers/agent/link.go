package agent

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

const (
	dialTimeout  = protocol.DialTimeout
	writeTimeout = 10 * time.Second // of one frame
	closeTimeout = time.Second      // for the server to read a bye
	queuedFrames = 512              // of one connection; more waiting means that it is dead
)

// ErrFingerprint means that whoever answers at the server's address does not hold the key that the join string named.
var ErrFingerprint = errors.New("this is not the server that gave out the join string: somebody may stand between you and it, or it has a new key; " +
	"ask for a new join string (/worker link) and check the address")

// ByeError is the server's last word. Error is a sentence for the owner.
type ByeError struct {
	Code   string // one of the protocol's Bye constants
	Reason string // cleaned
}

func (e *ByeError) Error() string {
	var s string
	switch e.Code {
	case protocol.ByeRevoked:
		s = "the server has revoked this worker: write /worker link in the chat, then potluck-worker join with the new string"
	case protocol.ByeBadCode:
		s = "the code in the join string is expired, already used or mistyped: write /worker link again and copy all of the answer"
	case protocol.ByeBadSignature:
		s = "the server does not know this worker's key: link it again with a new join string (/worker link)"
	case protocol.ByeTooMany:
		s = "you have linked as many workers as this server allows: unlink one in the chat first"
	case protocol.ByeReplaced:
		s = "another machine connected with this worker's key: was the folder copied? Give every machine its own join string"
	case protocol.ByeShutdown:
		s = "the server is going down"
	default:
		s = "the server ended the connection (" + plain(e.Code, 40) + ")"
	}
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	return s
}

// final tells whether reconnecting cannot help.
func (e *ByeError) final() bool {
	return e.Code == protocol.ByeRevoked || e.Code == protocol.ByeBadCode || e.Code == protocol.ByeBadSignature
}

func bye(b protocol.Bye) *ByeError { return &ByeError{Code: b.Code, Reason: plain(b.Reason, 200)} }

// unreachable is a server that does not answer as one.
type unreachable struct {
	server string
	cause  error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("the server %s cannot be reached: %s", e.server, shortCause(e.cause))
}
func (e *unreachable) Unwrap() error { return e.cause }

func shortCause(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "no such host " + dns.Name
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return plain(op.Err.Error(), 200)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return plain(u.Err.Error(), 200)
	}
	return plain(err.Error(), 200)
}

// connection is a finished handshake.
type connection struct {
	conn    *websocket.Conn
	welcome protocol.Welcome
	server  string // the server's own name, cleaned
}

// dial connects, has the server prove its key, and only then says hello. hello's Protocol and Signature are filled in here.
// Errors: *unreachable, ErrFingerprint, *ByeError, or a sentence about the protocol.
func dial(ctx context.Context, client *http.Client, server string, pinned [32]byte, key ed25519.PrivateKey, hello protocol.Hello) (_ *connection, err error) {
	if err := protocol.CheckServer(server); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	public := key.Public().(ed25519.PublicKey)
	conn, err := open(ctx, client, server, public, nonce)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.CloseNow()
		}
	}()

	ch, err := answer[protocol.Challenge](ctx, conn, server)
	if err != nil {
		return nil, err
	}
	if err := prove(ch, pinned, nonce, public); err != nil {
		return nil, err
	}
	hello.Protocol = ch.Protocol
	hello.Signature = ed25519.Sign(key, protocol.Transcript(protocol.RoleWorker, ch.Protocol, ch.Nonce, nonce, ch.Key, public))
	b, err := protocol.Encode(hello)
	if err != nil {
		return nil, err
	}
	if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
		return nil, &unreachable{server, err}
	}
	welcome, err := answer[protocol.Welcome](ctx, conn, server)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, welcome: welcome, server: plain(ch.Server, 80)}, nil
}

// open connects to a server's worker link. public is this worker's key, nonce what the server signs with its own.
func open(ctx context.Context, client *http.Client, server string, public ed25519.PublicKey, nonce []byte) (*websocket.Conn, error) {
	query := url.Values{
		"v":     {fmt.Sprint(protocol.Version)},
		"key":   {base64.RawURLEncoding.EncodeToString(public)},
		"nonce": {base64.RawURLEncoding.EncodeToString(nonce)},
	}
	conn, resp, err := websocket.Dial(ctx, strings.TrimRight(server, "/")+protocol.Path+"?"+query.Encode(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("it answered %d %s instead of a worker link", resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		return nil, &unreachable{server, err}
	}
	conn.SetReadLimit(protocol.MaxAssign)
	return conn, nil
}

// answer reads the frame of the handshake that must come now; a bye is an error.
func answer[F protocol.Frame](ctx context.Context, conn *websocket.Conn, server string) (frame F, err error) {
	f, err := readFrame(ctx, conn)
	if err != nil {
		return frame, &unreachable{server, err}
	}
	if b, ok := f.(protocol.Bye); ok {
		return frame, bye(b)
	}
	frame, ok := f.(F)
	if !ok {
		return frame, noPotluck(server)
	}
	return frame, nil
}

func noPotluck(server string) error {
	return &unreachable{server, errors.New("it does not speak as a Potluck server")}
}

// prove checks that the challenge comes from who holds the pinned key. nonce is this worker's, public its key.
// The fingerprint is checked first: what any other server says of its version means nothing.
func prove(ch protocol.Challenge, pinned [32]byte, nonce []byte, public ed25519.PublicKey) error {
	if len(ch.Key) != ed25519.PublicKeySize || protocol.Fingerprint(ch.Key) != pinned {
		return ErrFingerprint
	}
	if ch.Protocol != protocol.Version {
		return fmt.Errorf("the server speaks version %d of the worker link and this program version %d: update the older one", ch.Protocol, protocol.Version)
	}
	if len(ch.Nonce) != 32 || !ed25519.Verify(ch.Key, protocol.Transcript(protocol.RoleServer, ch.Protocol, ch.Nonce, nonce, ch.Key, public), ch.Signature) {
		return ErrFingerprint
	}
	return nil
}

// readFrame reads the next frame of a type that this version knows.
func readFrame(ctx context.Context, conn *websocket.Conn) (protocol.Frame, error) {
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		f, err := protocol.Decode(b)
		if errors.Is(err, protocol.ErrUnknownFrame) {
			continue
		}
		return f, err
	}
}

// newClient makes the HTTP client of one link. Redirects are refused: the token of a blob request is for the pinned server only.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	t.ResponseHeaderTimeout = 30 * time.Second
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// JoinOptions is what Join needs beside the join string.
type JoinOptions struct {
	Replace bool         // give up a link to another server, with a new key
	Name    string       // a wish
	Program string       // "potluck-worker 0.1.0 linux/amd64"
	HTTP    *http.Client // nil = one for this call
}

// Join links the folder's worker to the server of a join string and saves the link. Its errors are sentences for the owner.
// The caller holds the folder's lock.
func Join(ctx context.Context, f Folder, joinString string, o JoinOptions) (Link, error) {
	join, err := protocol.ParseJoin(joinString)
	if err != nil {
		return Link{}, err
	}
	fingerprint := hex.EncodeToString(join.Fingerprint[:])
	old, err := f.Link()
	if err != nil && !errors.Is(err, ErrNotLinked) && !o.Replace {
		return Link{}, err
	}
	other := err == nil && old.Fingerprint != fingerprint
	if other && !o.Replace {
		return Link{}, fmt.Errorf("this worker is already linked to %s (%s): use -replace to give that up, or -dir for a second worker", plain(old.Server, 200), plain(old.Name, 80))
	}
	settings, err := f.Settings()
	if err != nil {
		return Link{}, err
	}
	if err := f.writeDefaults(); err != nil {
		return Link{}, fmt.Errorf("write %s: %w", configFile, err)
	}
	name := keyFile
	if o.Replace {
		name = newKeyFile // the old key stays until the server has taken the new one
	}
	key, err := f.keyForJoin(name)
	if err != nil {
		return Link{}, err
	}
	if o.Name == "" {
		o.Name = settings.Name
	}
	client := o.HTTP
	if client == nil {
		client = newClient()
		defer client.CloseIdleConnections()
	}
	c, err := dial(ctx, client, join.Server, join.Fingerprint, key, protocol.Hello{
		JoinCode: join.Code, Program: o.Program, Name: plain(o.Name, 32), Hardware: engine.Hardware(ctx), Slots: settings.Limits.JobsAtOnce, Offers: []protocol.Offer{},
	})
	if err != nil {
		return Link{}, err
	}
	l := Link{Server: join.Server, Fingerprint: fingerprint, Worker: c.welcome.Worker, Name: plain(c.welcome.Name, 80), Owner: plain(c.welcome.Owner, 80)}
	if name != keyFile {
		err = f.rename(name, keyFile)
	}
	if err == nil {
		err = f.saveLink(l)
	}
	sayBye(c.conn)
	if err != nil {
		return Link{}, fmt.Errorf("the server has linked this worker, but its folder cannot be written: %w", err)
	}
	return l, nil
}

// NoteEnd keeps in link.yaml that the server unlinked this worker, when that is what err says; the next Join forgets it. It returns err, and with it
// why that could not be kept.
func (f Folder) NoteEnd(err error) error {
	if e, ok := errors.AsType[*ByeError](err); ok && e.Code == protocol.ByeRevoked {
		l, failure := f.Link()
		if failure == nil {
			l.Unlinked = true
			failure = f.saveLink(l)
		}
		if failure != nil {
			return fmt.Errorf("%w (and this cannot be noted: %w)", err, failure)
		}
	}
	return err
}

// JoinOnce links unless the folder is linked to the join string's server already and that server still knows the worker. An address that
// has changed is saved. It is for programs that start a worker and need not know whether it ran before.
func JoinOnce(ctx context.Context, f Folder, joinString string, o JoinOptions) (Link, error) {
	join, err := protocol.ParseJoin(joinString)
	if err != nil {
		return Link{}, err
	}
	l, err := f.Link()
	if errors.Is(err, ErrNotLinked) {
		return Join(ctx, f, joinString, o)
	}
	if err != nil {
		return Link{}, err
	}
	if l.Fingerprint != hex.EncodeToString(join.Fingerprint[:]) {
		return Join(ctx, f, joinString, o) // which says that it is linked elsewhere
	}
	if l.Server != join.Server {
		l.Server = join.Server
		if err := f.saveLink(l); err != nil {
			return Link{}, err
		}
	}
	key, err := f.Key()
	if err != nil {
		return Link{}, err
	}
	client := o.HTTP
	if client == nil {
		client = newClient()
		defer client.CloseIdleConnections()
	}
	c, err := dial(ctx, client, l.Server, join.Fingerprint, key, protocol.Hello{
		Program: o.Program, Hardware: engine.Hardware(ctx), Slots: 1, Paused: true, Offers: []protocol.Offer{},
	})
	if e, ok := errors.AsType[*ByeError](err); ok && e.Code == protocol.ByeBadSignature {
		return Join(ctx, f, joinString, o) // its database is new, its key is not
	}
	if err != nil {
		if _, ok := errors.AsType[*unreachable](err); ok {
			return l, nil // Run keeps trying
		}
		return Link{}, f.NoteEnd(err)
	}
	sayBye(c.conn)
	return l, nil
}

// Config reads all that Run needs from the folder; Program, Discover, HTTP and Log are left to the caller.
func (f Folder) Config(ctx context.Context) (Config, error) {
	l, err := f.Link()
	if err != nil {
		return Config{}, err
	}
	key, err := f.Key()
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, errors.New("this worker's key is gone: link it again with a new join string and -replace")
	}
	if err != nil {
		return Config{}, err
	}
	s, err := f.Settings()
	if err != nil {
		return Config{}, err
	}
	cfg := Config{Link: l, Key: key, Settings: s, Hardware: engine.Hardware(ctx), Paused: f.Paused, Status: func(s Status) { _ = f.saveStatus(s) }}
	if len(cfg.Hardware.GPUs) > 0 {
		cfg.Load = engine.GPULoads
	}
	return cfg, nil
}

// sayBye ends a connection that nobody reads: the server closes it when it has read the bye.
func sayBye(conn *websocket.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if b, err := protocol.Encode(protocol.Bye{Code: protocol.ByeShutdown}); err == nil && conn.Write(ctx, websocket.MessageText, b) == nil {
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				break
			}
		}
	}
	conn.CloseNow()
}
