package protocol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// JoinLifetime is how long a join code works.
const JoinLifetime = 10 * time.Minute

// Join is what an owner copies from the chat to the machine: potluck1.<server URL>.<fingerprint>.<code>, the first two in base64url.
type Join struct {
	Server      string   // https://potluck.example.org, without the path
	Fingerprint [32]byte // SHA-256 of the server's ed25519 public key
	Code        string   // 8 characters of Crockford base32 = 40 bits, shown as ABCD-EFGH
}

const joinPrefix = "potluck1"

// crockford leaves out I, L, O and U, which people mistake for 1, 1, 0 and V.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewCode draws a join code of 40 bits.
func NewCode() string {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	for i := range b {
		b[i] = crockford[b[i]&31]
	}
	return string(b[:])
}

// CleanCode brings a typed code into the form of NewCode: case, hyphens and blanks do not matter, O is 0, I and L are 1.
func CleanCode(s string) (string, error) {
	s = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(s))
	if len(s) != 8 || strings.Trim(s, crockford) != "" {
		return "", errors.New("a join code has 8 letters and digits")
	}
	return s, nil
}

// Fingerprint of a server's public key.
func Fingerprint(key ed25519.PublicKey) [32]byte { return sha256.Sum256(key) }

func (j Join) String() string {
	e := base64.RawURLEncoding
	return strings.Join([]string{joinPrefix, e.EncodeToString([]byte(j.Server)), e.EncodeToString(j.Fingerprint[:]), j.Code}, ".")
}

// ParseJoin reads a join string; the errors are sentences for the owner.
func ParseJoin(s string) (Join, error) {
	parts := strings.Split(strings.Join(strings.Fields(s), ""), ".")
	if parts[0] == joinPrefix && len(parts) < 4 {
		return Join{}, errors.New("part of the join string is missing: copy all of what /worker link answered")
	}
	if len(parts) != 4 || parts[0] != joinPrefix {
		return Join{}, errors.New(`this is not a join string: copy all of what /worker link answered, it begins with "potluck1."`)
	}
	var j Join
	server, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Join{}, errors.New("the server address in the join string is damaged: copy it again")
	}
	j.Server = string(server)
	if err := CheckServer(j.Server); err != nil {
		return Join{}, err
	}
	fp, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(fp) != len(j.Fingerprint) {
		return Join{}, errors.New("the server's fingerprint in the join string is damaged: copy it again")
	}
	copy(j.Fingerprint[:], fp)
	if j.Code, err = CleanCode(parts[3]); err != nil {
		return Join{}, errors.New("the code at the end of the join string is damaged: copy it again")
	}
	return j, nil
}

// CheckServer refuses an address that a worker must not dial: no http(s) URL, one with more than a host and a path (the path of the link is put
// behind it, and people see it), or plain http to a public address (without TLS the handshake proves the server once, and nothing after it).
func CheckServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") || strings.ContainsAny(server, "?#") ||
		strings.ContainsFunc(server, func(c rune) bool { return c == utf8.RuneError || c == ' ' || !unicode.IsGraphic(c) }) {
		return fmt.Errorf("%q is not a server address: want https://host", server)
	}
	if u.Scheme == "http" && !PrivateHost(u.Hostname()) {
		return fmt.Errorf("%s is public and has no TLS: ask the operator for an https address", server)
	}
	return nil
}

// Loopback tells whether an address can only be reached from the same machine.
func Loopback(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// PrivateHost tells whether a host name or IP address (without brackets) is this machine or in a private network.
func PrivateHost(h string) bool {
	if h == "localhost" || strings.HasSuffix(h, ".local") {
		return true
	}
	ip, err := netip.ParseAddr(h)
	if err != nil {
		// A name without dots can only be answered by one's own network. It begins with a letter, for some resolvers read 134744072 as 8.8.8.8.
		return h != "" && unicode.IsLetter(rune(h[0])) && !strings.ContainsAny(h, ".:")
	}
	ip = ip.Unmap()
	// 100.64.0.0/10 is what overlay networks such as Tailscale give to machines.
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || netip.MustParsePrefix("100.64.0.0/10").Contains(ip)
}

// Roles in the transcript: a signature of one side is no use to the other.
const (
	RoleServer = "server"
	RoleWorker = "worker"
)

// Transcript is what each side signs: role, protocol version, both nonces and both keys, each with its length in front.
func Transcript(role string, version int, serverNonce, workerNonce []byte, serverKey, workerKey ed25519.PublicKey) []byte {
	var b bytes.Buffer
	for _, part := range [][]byte{
		[]byte("potluck worker link"), []byte(role), binary.BigEndian.AppendUint32(nil, uint32(version)), serverNonce, workerNonce, serverKey, workerKey,
	} {
		b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		b.Write(part)
	}
	return b.Bytes()
}
