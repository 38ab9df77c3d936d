// Package protocol is what a server and a worker say to each other: frames, join strings and the signed handshake.
//
// A worker dials GET /worker/v1 (WebSocket, one JSON frame per text message). The order is challenge (server), hello (worker), welcome
// (server); then offer, beat, accept, refuse, event, pause, resume, drain, bye from the worker and assign, cancel, ack, drain, bye from the
// server. Pictures go by PUT /worker/v1/blobs/{lease}/{n}; input pictures come by GET there. Unknown fields and frame types are ignored.
package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Version is the protocol that this package speaks; it stands in challenge and hello.
const Version = 1

// Path is where a server takes worker connections; BlobPath stands in front of "{lease}/{n}".
const (
	Path     = "/worker/v1"
	BlobPath = "/worker/v1/blobs/"
)

// Limits that both sides keep. The server's are final: a worker that exceeds one is disconnected.
const (
	MaxFrame     = 256 << 10             // bytes of one frame from a worker, and of one to it except an assign
	MaxAssign    = 1 << 20               // bytes of one frame to a worker
	MaxBlob      = 8 << 20               // bytes of one picture
	MaxPreview   = 256 << 10             // bytes of one preview of an unfinished picture
	MaxText      = 64 << 10              // bytes of a whole answer
	MaxSlots     = 64                    // jobs at once on one worker
	MaxOffers    = 512                   // offers of one worker
	MaxPairs     = 512                   // language pairs of one offer
	MaxAllPairs  = 2048                  // and of all offers of one worker together: all of Apertium has some 500
	MaxList      = 4096                  // entries of one list in a frame: the pieces of a text of 4,000 characters are the most
	MaxEntries   = 16384                 // and of all lists of one frame together
	MaxDepth     = 32                    // how deep lists and objects may stand in each other
	FramesPerSec = 200                   // sustained, per connection; burst is twice that
	HelloTimeout = 5 * time.Second       // from the upgrade to the hello
	DialTimeout  = 8 * time.Second       // of a worker: from the first packet to the welcome
	MaxRetry     = 10 * time.Second      // a worker without a connection waits at most so long before it dials again, unless a bye told it why
	TextInterval = 50 * time.Millisecond // a worker sends at most one text event per lease in this time, the first token at once
)

// Kind is what a job asks for.
type Kind string

const (
	Chat      Kind = "chat"
	Image     Kind = "image"
	Translate Kind = "translate"
)

// Kinds lists every Kind.
func Kinds() []Kind { return []Kind{Chat, Image, Translate} }

// Quality says where an engine's output may be shown.
type Quality string

const (
	Postable Quality = "postable" // may be posted without being asked for
	Rough    Quality = "rough"    // only behind a button or a command, and marked
	Demo     Quality = "demo"     // a demonstration, no model: only where the operator allows it
)

// Frame is one message of the link. Its JSON is {"type": …, "data": {…}}.
type Frame interface{ frameType() string }

type (
	// Challenge opens the connection: the server proves its key over both nonces (the worker's came as query parameter "nonce").
	Challenge struct {
		Protocol  int    `json:"protocol"`
		Server    string `json:"server"`    // the server's name, for people
		Key       []byte `json:"key"`       // ed25519 public key
		Nonce     []byte `json:"nonce"`     // 32 bytes
		Signature []byte `json:"signature"` // over Transcript(RoleServer, …)
	}
	// Hello answers it. JoinCode stands only in the one that links the worker.
	Hello struct {
		Protocol  int       `json:"protocol"`
		Signature []byte    `json:"signature"` // over Transcript(RoleWorker, …) by the key given in the query
		JoinCode  string    `json:"join_code,omitempty"`
		Program   string    `json:"program"`        // "potluck-worker 0.1.0 linux/amd64"
		Name      string    `json:"name,omitempty"` // a wish, used when linking
		Hardware  Hardware  `json:"hardware"`
		Slots     int       `json:"slots"`
		Paused    bool      `json:"paused,omitempty"`
		Offers    []Offer   `json:"offers"`
		Running   []Running `json:"running,omitempty"` // what this worker is still doing for this server
	}
	// Running is a lease that a reconnecting worker still works on, or has finished and not been acknowledged for.
	Running struct {
		Lease   string `json:"lease"`
		Attempt int    `json:"attempt"`
	}
	// Welcome ends the handshake. Token goes with blob requests as "Authorization: Bearer".
	Welcome struct {
		Worker  int64    `json:"worker"`
		Name    string   `json:"name"`
		Owner   string   `json:"owner"`
		Token   string   `json:"token"`
		BeatMS  int      `json:"beat_ms"`
		Adopted []string `json:"adopted,omitempty"` // leases of hello.running that go on; every other one must be dropped
	}
	// OfferFrame replaces everything said about offers before.
	OfferFrame struct {
		Slots  int     `json:"slots"`
		Offers []Offer `json:"offers"`
	}
	// Beat comes every Welcome.BeatMS; 3 missing ones mean that the worker is gone.
	Beat struct {
		Free int       `json:"free"`
		GPUs []GPULoad `json:"gpus,omitempty"`
	}
	// Assign gives the worker a lease. Exactly one of Chat, Image and Translate is set, as Kind says.
	Assign struct {
		Lease      string        `json:"lease"`   // 32 hex digits
		Attempt    int           `json:"attempt"` // counts from 1
		Kind       Kind          `json:"kind"`
		Model      string        `json:"model"`  // the local name, as in the worker's offer
		Engine     string        `json:"engine"` // as in the worker's offer
		Features   []string      `json:"features,omitempty"`
		DeadlineMS int64         `json:"deadline_ms"` // from now
		Chat       *ChatJob      `json:"chat,omitempty"`
		Image      *ImageJob     `json:"image,omitempty"`
		Translate  *TranslateJob `json:"translate,omitempty"`
	}
	// Accept says that the job has begun. Refuse is no fault: the job goes elsewhere.
	Accept struct {
		Lease string `json:"lease"`
	}
	Refuse struct {
		Lease  string `json:"lease"`
		Reason string `json:"reason"` // one of the Reason constants
	}
	// Ack confirms a final event (done or error); until it comes the worker repeats the event after each reconnect.
	Ack struct {
		Lease string `json:"lease"`
	}
	// Cancel stops a lease at the engine itself. The worker answers nothing.
	Cancel struct {
		Lease  string `json:"lease"`
		Reason string `json:"reason"`
	}
	// Pause (from the worker): take nothing new until Resume. Drain (either side): finish what runs, take nothing new, then bye.
	Pause struct {
		Reason string `json:"reason,omitempty"`
	}
	Resume struct{}
	Drain  struct {
		Reason string `json:"reason,omitempty"`
	}
	// Bye is the last frame. Code is one of the Bye constants; Reason is for people.
	Bye struct {
		Code   string `json:"code"`
		Reason string `json:"reason,omitempty"`
	}
)

// Reasons of a Refuse.
const (
	ReasonBusy    = "busy"    // no slot after all
	ReasonModel   = "model"   // model not here (any more)
	ReasonFeature = "feature" // a feature that this engine lacks
	ReasonLimit   = "limit"   // beyond what the owner allows
	ReasonPolicy  = "policy"  // the owner does not do this kind of thing
	ReasonPaused  = "paused"
)

// Codes of a Bye. After ByeRevoked, ByeBadCode and ByeBadSignature a worker must not reconnect by itself.
const (
	ByeShutdown     = "shutdown"
	ByeRevoked      = "revoked"
	ByeBadCode      = "bad_code"      // join code unknown, used, expired or tried too often
	ByeBadSignature = "bad_signature" // or a key that this server does not know
	ByeProtocol     = "protocol"      // broke the rules: limits, order, unknown lease
	ByeReplaced     = "replaced"      // the same worker connected again
	ByeTooMany      = "too_many"      // the owner has too many workers
)

// Event tells how a lease goes. Seq counts from 1 within an attempt and never falls; a repeated one is ignored.
type Event struct {
	Lease string    `json:"lease"`
	Seq   int       `json:"seq"`
	Kind  EventKind `json:"kind"`
	// Text is the text since the last text event; with Reset it is the whole text so far (sent after a reconnect).
	Text  string `json:"text,omitempty"`
	Reset bool   `json:"reset,omitempty"`
	// Fraction (0–1), Step and Steps stand in a progress.
	Fraction float64 `json:"fraction,omitempty"`
	Step     int     `json:"step,omitempty"`
	Steps    int     `json:"steps,omitempty"`
	// Preview is the number of a blob that was PUT before: a small JPEG of the unfinished picture.
	Preview int `json:"preview,omitempty"`
	// Done and Error end the lease.
	Done  *Done  `json:"done,omitempty"`
	Error *Error `json:"error,omitempty"`
}

type EventKind string

const (
	EventText     EventKind = "text"
	EventProgress EventKind = "progress" // also says that a model is at work of which nothing can be shown yet: it loads, or thinks
	EventPreview  EventKind = "preview"
	EventDone     EventKind = "done"
	EventError    EventKind = "error"
)

// Done carries the whole result. Blobs counts the pictures that were PUT as 1…Blobs.
type Done struct {
	Text      string    `json:"text,omitempty"`
	Reasoning string    `json:"reasoning,omitempty"` // a reasoning model's thoughts: never shown in the chat
	Finish    string    `json:"finish,omitempty"`    // stop | length
	Segments  [][]Piece `json:"segments,omitempty"`  // one per segment of the TranslateJob
	Blobs     int       `json:"blobs,omitempty"`
	Seed      int64     `json:"seed,omitempty"`    // of the first picture
	TookMS    int64     `json:"took_ms,omitempty"` // the engine's time, for display only: credit never depends on it
}

// Error ends an attempt without a result. Fault says whose it is.
type Error struct {
	Fault string `json:"fault"` // one of the Fault constants
	// Detail is for the log of the owner and the operator: no path, no prompt, at most 200 bytes.
	Detail string `json:"detail,omitempty"`
}

const (
	FaultEngine   = "engine"   // the inference program failed: try elsewhere
	FaultRequest  = "request"  // this request cannot be done anywhere of this kind: do not retry
	FaultTooLong  = "too_long" // input beyond this model's context: try a larger one
	FaultOverload = "overload" // busy after all: try elsewhere, nobody is blamed
	FaultBlocked  = "blocked"  // a safety rule on the worker refused
)

// Hardware is what an owner's machine is, without anything that names it or its user.
type Hardware struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPUs  int    `json:"cpus"`
	RAMMB int    `json:"ram_mb"`
	GPUs  []GPU  `json:"gpus,omitempty"`
}

type GPU struct {
	Name   string `json:"name"`
	VRAMMB int    `json:"vram_mb"`
}

type GPULoad struct {
	Busy        int `json:"busy"`                  // percent
	Temperature int `json:"temperature,omitempty"` // °C
	VRAMUsedMB  int `json:"vram_used_mb,omitempty"`
}

// Offer is one thing a worker can do now.
type Offer struct {
	Kind      Kind     `json:"kind"`
	Engine    string   `json:"engine"`            // "openai", "apertium", "demo", …
	Model     string   `json:"model"`             // local name
	Quality   Quality  `json:"quality,omitempty"` // of a chat or image offer; pairs have their own
	Features  []string `json:"features,omitempty"`
	Loaded    bool     `json:"loaded,omitempty"`
	Context   int      `json:"context,omitempty"`    // tokens; 0 = unknown
	MaxTokens int      `json:"max_tokens,omitempty"` // of an answer that the owner allows; longer ones are asked for shortened. 0 = unknown
	MaxPixels int      `json:"max_pixels,omitempty"` // width × height of one picture
	MaxSteps  int      `json:"max_steps,omitempty"`
	MaxCount  int      `json:"max_count,omitempty"`
	Samplers  []string `json:"samplers,omitempty"`
	Pairs     []Pair   `json:"pairs,omitempty"` // translate only; an LLM that reads everything lists none and sets AnyPair
	AnyPair   bool     `json:"any_pair,omitempty"`
}

// Pair is a translation direction, BCP 47 base languages ("en", "ca").
type Pair struct {
	From    string  `json:"from"`
	To      string  `json:"to"`
	Quality Quality `json:"quality"`
}

// Features that jobs may need and offers may list.
const (
	FeatureVision = "vision"
	FeatureInit   = "init" // start a picture from another
)

type (
	ChatJob struct {
		Messages    []Message `json:"messages"`
		MaxTokens   int       `json:"max_tokens"`
		Temperature *float64  `json:"temperature,omitempty"`
		Stop        []string  `json:"stop,omitempty"`
		Seed        *int64    `json:"seed,omitempty"`
	}
	Message struct {
		Role   string `json:"role"` // system | user | assistant
		Text   string `json:"text"`
		Images []int  `json:"images,omitempty"` // numbers of input blobs
	}
	ImageJob struct {
		Prompt   string  `json:"prompt"`
		Negative string  `json:"negative,omitempty"`
		Width    int     `json:"width"`
		Height   int     `json:"height"`
		Steps    int     `json:"steps"`
		CFG      float64 `json:"cfg"`
		Sampler  string  `json:"sampler"`
		Seed     int64   `json:"seed"` // picture k uses Seed + k
		Count    int     `json:"count"`
		LoRAs    []LoRA  `json:"loras,omitempty"`
		Init     int     `json:"init,omitempty"` // number of an input blob
		Strength float64 `json:"strength,omitempty"`
	}
	LoRA struct {
		Name   string  `json:"name"`
		Weight float64 `json:"weight"`
	}
	// TranslateJob carries segments (lines or sentences); each is a list of pieces in order.
	TranslateJob struct {
		From     string            `json:"from"`
		To       string            `json:"to"`
		Segments [][]Piece         `json:"segments"`
		Glossary map[string]string `json:"glossary,omitempty"`
		Variant  int               `json:"variant,omitempty"` // which prompt to use: raised when the server rejected a result
	}
	// Piece is text, or (Keep > 0) a place that must come back once: a mention, URL, code … whose content stays on the server.
	Piece struct {
		Text string `json:"text,omitempty"`
		Keep int    `json:"keep,omitempty"`
	}
)

func (Challenge) frameType() string  { return "challenge" }
func (Hello) frameType() string      { return "hello" }
func (Welcome) frameType() string    { return "welcome" }
func (OfferFrame) frameType() string { return "offer" }
func (Beat) frameType() string       { return "beat" }
func (Assign) frameType() string     { return "assign" }
func (Accept) frameType() string     { return "accept" }
func (Refuse) frameType() string     { return "refuse" }
func (Event) frameType() string      { return "event" }
func (Ack) frameType() string        { return "ack" }
func (Cancel) frameType() string     { return "cancel" }
func (Pause) frameType() string      { return "pause" }
func (Resume) frameType() string     { return "resume" }
func (Drain) frameType() string      { return "drain" }
func (Bye) frameType() string        { return "bye" }

// Name is the type of a frame as it is written, or, for an event, its kind: "assign", "text", "done".
func Name(f Frame) string {
	if e, ok := f.(Event); ok {
		return string(e.Kind)
	}
	return f.frameType()
}

// ErrUnknownFrame is what Decode returns for a type that this version does not know: ignore the frame.
var ErrUnknownFrame = errors.New("unknown frame type")

// ErrBulky is what Decode returns for a frame that holds more than its side may ever say.
var ErrBulky = errors.New("more lists or entries than any frame has")

type envelope struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// Encode writes a frame as JSON.
func Encode(f Frame) ([]byte, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.frameType(), err)
	}
	return json.Marshal(envelope{Type: f.frameType(), Data: data})
}

// Decode reads one frame. It returns a value (never a pointer) of one of the frame types.
func Decode(b []byte) (Frame, error) {
	e, err := opened(b)
	if err != nil {
		return nil, err
	}
	return e.decode()
}

// DecodeFromWorker is Decode for a server: what only servers say is an unknown frame, and none of it is read.
func DecodeFromWorker(b []byte) (Frame, error) {
	e, err := opened(b)
	if err != nil {
		return nil, err
	}
	switch e.Type {
	case Challenge{}.frameType(), Welcome{}.frameType(), Assign{}.frameType(), Ack{}.frameType(), Cancel{}.frameType():
		return nil, ErrUnknownFrame
	}
	return e.decode()
}

// opened weighs a frame and reads its type. What is too heavy costs no memory.
func opened(b []byte) (envelope, error) {
	if err := weigh(b); err != nil {
		return envelope{}, err
	}
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return envelope{}, fmt.Errorf("decode frame: %w", err)
	}
	return e, nil
}

func (e envelope) decode() (Frame, error) {
	read, ok := readers[e.Type]
	if !ok {
		return nil, ErrUnknownFrame
	}
	f, err := read(e.Data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", e.Type, err)
	}
	return f, nil
}

// Greeting is the part of a hello that proves who says it.
type Greeting struct {
	Protocol  int    `json:"protocol"`
	Signature []byte `json:"signature"`
	JoinCode  string `json:"join_code"`
}

// DecodeGreeting reads who says hello and nothing else of the frame: the rest may be large, and is worth reading only once the signature is right.
func DecodeGreeting(b []byte) (Greeting, error) {
	if err := weigh(b); err != nil {
		return Greeting{}, err
	}
	var e struct {
		Type string   `json:"type"`
		Data Greeting `json:"data"`
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return Greeting{}, fmt.Errorf("decode hello: %w", err)
	}
	if e.Type != (Hello{}).frameType() {
		return Greeting{}, fmt.Errorf("decode hello: %w", ErrUnknownFrame)
	}
	return e.Data, nil
}

// weigh looks at JSON before it is decoded. Two bytes of it, as in [{},{},…], may become hundreds in memory, so entries are counted and not bytes. What is
// no JSON is left to the decoder to find.
func weigh(b []byte) error {
	var entries [MaxDepth]int // of each list that is open; -1 = an object
	depth, all, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth == MaxDepth {
				return ErrBulky
			}
			if entries[depth] = -1; c == '[' {
				entries[depth] = 1
				all++
			}
			depth++
		case c == '}' || c == ']':
			depth = max(depth-1, 0)
		case c == ',' && depth > 0 && entries[depth-1] > 0:
			if entries[depth-1]++; entries[depth-1] > MaxList {
				return ErrBulky
			}
			all++
		}
		if all > MaxEntries {
			return ErrBulky
		}
	}
	return nil
}

var readers = map[string]func(json.RawMessage) (Frame, error){
	"challenge": read[Challenge], "hello": read[Hello], "welcome": read[Welcome], "offer": read[OfferFrame], "beat": read[Beat],
	"assign": read[Assign], "accept": read[Accept], "refuse": read[Refuse], "event": read[Event], "ack": read[Ack],
	"cancel": read[Cancel], "pause": read[Pause], "resume": read[Resume], "drain": read[Drain], "bye": read[Bye],
}

func read[F Frame](b json.RawMessage) (Frame, error) {
	var f F
	if len(b) == 0 {
		return f, nil
	}
	err := json.Unmarshal(b, &f)
	return f, err
}
