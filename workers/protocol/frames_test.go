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
	offer := Offer{Kind: Translate, Engine: "apertium", Model: "pairs", Quality: Rough, Features: []string{FeatureVision}, Loaded: true, Context: 1, MaxPixels: 2,
		MaxSteps: 3, MaxCount: 4, Samplers: []string{"euler"}, Pairs: []Pair{{"en", "ca", Postable}}, AnyPair: true}
	return []Frame{
		Challenge{Protocol: 1, Server: "s", Key: []byte{1}, Nonce: []byte{2}, Signature: []byte{3}},
		Hello{Protocol: 1, Signature: []byte{1}, JoinCode: "ABCD2345", Program: "p", Name: "n", Hardware: Hardware{OS: "linux", Arch: "amd64", CPUs: 8, RAMMB: 100,
			GPUs: []GPU{{Name: "g", VRAMMB: 5}}}, Slots: 2, Paused: true, Offers: []Offer{offer}, Running: []Running{{"l", 2}}},
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
	older := `{"type":"hello","data":{"hardware":{"gpus":[{"name":"g","driver":"580.10"}]},"offers":[{"kind":"chat","model":"m","digest":"abc"}]}}` // fields of former workers
	if f, err := Decode([]byte(older)); err != nil || f.(Hello).Hardware.GPUs[0].Name != "g" || f.(Hello).Offers[0].Model != "m" {
		t.Errorf("a former worker's hello: %+v, %v", f, err)
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

// A frame of 256 KiB could become 33 MB: 87,000 offers of two bytes each.
func TestBulkyFramesAreNotDecoded(t *testing.T) {
	list := func(entry string, n int) string { return "[" + strings.Repeat(entry+",", n-1) + entry + "]" }
	offers := func(entries string) []byte { return []byte(`{"type":"offer","data":{"offers":` + entries + `}}`) }
	many := strings.Repeat(`"x":`+list("0", MaxList)+",", MaxEntries/MaxList)
	for name, c := range map[string]struct {
		frame []byte
		bulky bool
	}{
		"as many empty offers as fit":  {offers(list("{}", MaxFrame/3-50)), true},
		"as many nulls":                {offers(list("null", MaxFrame/5-50)), true},
		"a list as long as may be":     {offers(list("{}", MaxList)), false},
		"one entry more":               {offers(list("{}", MaxList+1)), true},
		"many long lists":              {[]byte(`{"type":"future","data":{` + many + `"y":[]}}`), true},
		"one of them less":             {[]byte(`{"type":"future","data":{` + strings.TrimSuffix(many, ",") + `}}`), false},
		"very deep":                    {[]byte(`{"type":"event","data":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`), true},
		"an answer full of brackets":   {[]byte(`{"type":"event","data":{"text":"` + strings.Repeat(`[{,\"\\`, 8<<10) + `"}}`), false},
		"brackets behind a quote mark": {offers(`[{"model":"\\"}` + strings.Repeat(",{}", MaxList) + `]`), true},
	} {
		_, err := Decode(c.frame)
		if errors.Is(err, ErrUnknownFrame) {
			err = nil
		}
		if len(c.frame) > MaxFrame || c.bulky == (err == nil) || c.bulky && !errors.Is(err, ErrBulky) {
			t.Errorf("%s, %d bytes: %v", name, len(c.frame), err)
		}
		if c.bulky {
			if n := testing.AllocsPerRun(1, func() { _, _ = Decode(c.frame) }); n > 0 {
				t.Errorf("%s: %v allocations for a frame that is refused", name, n)
			}
		}
	}
}

// What the largest honest worker says: every offer with long lists, all pairs, every slot at work.
func TestLargestHonestHelloIsDecoded(t *testing.T) {
	h := Hello{Protocol: 1, Signature: make([]byte, 64), Slots: MaxSlots}
	for i := range 280 { // checkpoints, each with every sampler
		o := Offer{Kind: Image, Engine: "comfyui", Model: strings.Repeat("m", i%40)}
		for range 45 {
			o.Samplers = append(o.Samplers, "dpmpp_2m_sde")
		}
		h.Offers = append(h.Offers, o)
	}
	for range 500 {
		h.Offers[0].Pairs = append(h.Offers[0].Pairs, Pair{"en", "ca", Postable})
	}
	for range MaxSlots {
		h.Running = append(h.Running, Running{strings.Repeat("0", 32), 1})
	}
	b, err := Encode(h)
	if err != nil || len(b) > MaxFrame {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if f, err := Decode(b); err != nil || cmp.Diff(h, f) != "" {
		t.Errorf("decoded with %v", err)
	}
	g, err := DecodeGreeting(b)
	if err != nil || g.Protocol != 1 || len(g.Signature) != 64 || g.JoinCode != "" {
		t.Errorf("greeting %+v, %v", g, err)
	}
}

func TestServersReadOnlyWhatWorkersSay(t *testing.T) {
	for _, f := range frames() {
		b, err := Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		server := false
		switch f.(type) {
		case Challenge, Welcome, Assign, Ack, Cancel:
			server = true
		}
		got, err := DecodeFromWorker(b)
		if server && !errors.Is(err, ErrUnknownFrame) || !server && (err != nil || cmp.Diff(f, got) != "") {
			t.Errorf("%T: %#v, %v", f, got, err)
		}
		_, err = DecodeGreeting(b)
		if _, hello := f.(Hello); hello == (err != nil) {
			t.Errorf("%T as a greeting: %v", f, err)
		}
	}
}
