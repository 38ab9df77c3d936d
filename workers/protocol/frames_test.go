package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func ptr[T any](v T) *T { return &v }

// every frame type once, with all its fields set.
func frames() []Frame {
	offer := Offer{Kind: Translate, Engine: "apertium", Model: "pairs", Digest: "d", Quality: Rough, Features: []string{FeatureVision}, Loaded: true, Context: 1, MaxPixels: 2,
		MaxSteps: 3, MaxCount: 4, Samplers: []string{"euler"}, Pairs: []Pair{{"en", "ca", Postable}}, AnyPair: true}
	return []Frame{
		Challenge{Protocol: 1, Server: "s", Key: []byte{1}, Nonce: []byte{2}, Signature: []byte{3}},
		Hello{Protocol: 1, Signature: []byte{1}, JoinCode: "ABCD2345", Program: "p", Name: "n", Hardware: Hardware{OS: "linux", Arch: "amd64", CPUs: 8, RAMMB: 100,
			GPUs: []GPU{{Name: "g", VRAMMB: 5, Driver: "d"}}}, Slots: 2, Paused: true, Offers: []Offer{offer}, Running: []Running{{"l", 2}}},
		Welcome{Worker: 1, Name: "n", Owner: "o", Token: "t", BeatMS: 5000, Adopted: []string{"l"}},
		OfferFrame{Slots: 1, Offers: []Offer{offer}},
		Beat{Free: 1, GPUs: []GPULoad{{Busy: 1, Temperature: 2, VRAMUsedMB: 3}}},
		Assign{Lease: "l", Attempt: 1, Kind: Chat, Model: "m", Engine: "e", Features: []string{"vision"}, DeadlineMS: 5,
			Chat:      &ChatJob{Messages: []Message{{Role: "user", Text: "<&>\u2028", Images: []int{1}}}, MaxTokens: 5, Temperature: ptr(0.0), Stop: []string{"x"}, Seed: ptr(int64(-1))},
			Image:     &ImageJob{Prompt: "p", Negative: "n", Width: 1, Height: 2, Steps: 3, CFG: 4.5, Sampler: "s", Seed: 1 << 62, Count: 1, LoRAs: []LoRA{{"l", 0.5}}, Init: 1, Strength: 0.5},
			Translate: &TranslateJob{From: "en", To: "ca", Segments: [][]Piece{{{Text: "a"}, {Keep: 1}}}, Glossary: map[string]string{"a": "b"}, Variant: 1}},
		Accept{Lease: "l"}, Refuse{Lease: "l", Reason: ReasonBusy}, Ack{Lease: "l"}, Cancel{Lease: "l", Reason: "r"},
		Pause{Reason: "r"}, Resume{}, Drain{Reason: "r"}, Bye{Code: ByeShutdown, Reason: "r"},
		Event{Lease: "l", Seq: 3, Kind: EventDone, Text: "é", Reset: true, Fraction: 0.5, Step: 1, Steps: 2, Preview: 1000,
			Done:  &Done{Text: "t", Reasoning: "r", Finish: "stop", Segments: [][]Piece{{{Text: "a"}}}, Blobs: 1, Seed: 2, TookMS: 3},
			Error: &Error{Fault: FaultEngine, Detail: "d"}},
	}
}

func TestEveryFrameRoundTrips(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range frames() {
		b, err := Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(f, got); d != "" {
			t.Errorf("%T: %s", f, d)
		}
		if v := reflect.ValueOf(f); v.NumField() > 0 {
			for i := range v.NumField() {
				if v.Field(i).IsZero() {
					t.Errorf("%T: %s is not covered", f, v.Type().Field(i).Name)
				}
			}
		}
		seen[f.frameType()] = true
	}
	for name := range readers {
		if !seen[name] {
			t.Errorf("%s is not covered", name)
		}
	}
}

func TestDecodeIsTolerantToNewerPeers(t *testing.T) {
	f, err := Decode([]byte(`{"type":"beat","future":1,"data":{"free":2,"mood":"good"}}`))
	if b, ok := f.(Beat); err != nil || !ok || b.Free != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := Decode([]byte(`{"type":"telepathy","data":{}}`)); !errors.Is(err, ErrUnknownFrame) {
		t.Errorf("unknown type: %v", err)
	}
	if f, err := Decode([]byte(`{"type":"resume"}`)); err != nil || f != (Resume{}) {
		t.Errorf("no data: %+v, %v", f, err)
	}
	for _, bad := range []string{"", "[]", "null x", `{"type":"beat","data":{"free":"two"}}`, `{"type":"beat","data":[]}`} {
		if f, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%q became %+v", bad, f)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range frames() {
		b, err := Encode(frame)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, s := range []string{
		`{"type":"event","data":null}`, `{"type":"beat"}`, `{"TYPE":"beat","Data":{"FREE":1,"free":2}}`, ` {"data":{"slots":64},"type":"offer","type":"pause"} `,
		`{"type":"hello","data":{"offers":[{},null,{"pairs":[{}]}],"running":[],"hardware":{"gpus":[null]}}}`, `{"type":"event","data":{"text":"\ud800\u0000","fraction":1e308,"seq":-1}}`,
		`{"type":"assign","data":{"chat":{"temperature":-0,"messages":null},"translate":{"segments":[null,[{}]],"glossary":{"":""}}}}`, `{"type":"beat","data":{}} {}`, "[[[[", `"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		buffer := bytes.Clone(b)
		frame, err := Decode(buffer)
		if err != nil {
			if frame != nil {
				t.Errorf("%q is both %+v and %v", b, frame, err)
			}
			return
		}
		if readers[frame.frameType()] == nil || reflect.ValueOf(frame).Kind() != reflect.Struct {
			t.Fatalf("%q became a %T, which no side takes", b, frame)
		}
		once, err := Encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		clear(buffer) // whoever read it from the connection may use the bytes again
		again, err := Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(frame, again, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s reads as something else: %s", once, d)
		}
		twice, err := Encode(again)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s\n%s\n%v", once, twice, err)
		}
		if bytes.ContainsAny(once, "\n\r") || !utf8.Valid(once) {
			t.Errorf("%q is not one line of UTF-8", once)
		}
		body := once[:len(once)-1]
		if newer, err := Decode(append(bytes.Clone(body), `,"future":{"a":[1]}}`...)); err != nil || cmp.Diff(again, newer) != "" {
			t.Errorf("%s with something new: %+v, %v", once, newer, err)
		}
		if cut, err := Decode(body); err == nil {
			t.Errorf("%s was cut and is still %+v", once, cut)
		}
	})
}

func TestFrameJSONIsStable(t *testing.T) {
	// Workers in the field speak this; a renamed field would break them silently.
	b, err := Encode(Assign{Lease: "l", Attempt: 1, Kind: Image, Model: "m", Engine: "e", DeadlineMS: 5, Image: &ImageJob{Prompt: "p", Width: 1, Height: 2, Steps: 3, CFG: 4, Sampler: "s", Seed: 5, Count: 6}})
	want := `{"type":"assign","data":{"lease":"l","attempt":1,"kind":"image","model":"m","engine":"e","deadline_ms":5,"image":{"prompt":"p","width":1,"height":2,"steps":3,"cfg":4,"sampler":"s","seed":5,"count":6}}}`
	if err != nil || string(b) != want {
		t.Errorf("%s\n%v", b, err)
	}
	if !json.Valid(b) || strings.Contains(string(b), "\n") {
		t.Error("not one line of JSON")
	}
}
