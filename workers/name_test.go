package workers

import (
	"net"
	"testing"

	"potluck/community"
	"potluck/workers/protocol"
)

func gpu(name string) protocol.Hardware {
	if name == "" {
		return protocol.Hardware{}
	}
	return protocol.Hardware{GPUs: []protocol.GPU{{Name: name}}}
}

func TestDefaultNames(t *testing.T) {
	for name, want := range map[string]string{
		"":                                  "computer",
		"NVIDIA GeForce RTX 3060":           "RTX 3060",
		"NVIDIA A100-SXM4-80GB":             "A100-SXM4-80GB",
		"AMD Radeon RX 7900 XTX":            "RX 7900 XTX",
		"Intel(R) Arc(TM) A770":             "Arc A770",
		"AMD GPU":                           "AMD GPU",
		"AMD Radeon Graphics":               "AMD Radeon Graphics",
		"Apple M2 Pro":                      "Apple M2 Pro",
		"\u202e":                            "computer",
		"9 a b c d e f g h i j k l m n o p": "9 a b c d e f g h i j k l m",
	} {
		if got := defaultName(gpu(name)); got != want {
			t.Errorf("%q is called %q, want %q", name, got, want)
		}
	}
	got := named([]Worker{
		{Owner: 1, Hardware: gpu("NVIDIA GeForce RTX 3060")},
		{Owner: 2, Hardware: gpu("NVIDIA GeForce RTX 3060")},
		{Owner: 1, Hardware: gpu("NVIDIA GeForce RTX 3060")},
		{Owner: 1, Name: "Computer"},
		{Owner: 1},
	})
	for i, want := range []string{"RTX 3060", "RTX 3060", "RTX 3060 2", "Computer", "computer 2"} {
		if got[i].Name != want {
			t.Errorf("worker %d is called %q, want %q", i, got[i].Name, want)
		}
	}
}

// TestLinkedWorkerHasAName: a machine that was linked without a name was called nothing everywhere.
func TestLinkedWorkerHasAName(t *testing.T) {
	store, house := openSQLite(t)
	owner, _ := house.Member(1)
	listener := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	b := newBed(t, listener(), (&net.Dialer{}).DialContext)
	b.end()
	b.net = listener()
	defer b.end()
	b.over = func(Store) Store { return store }
	b.cfg.MaxPerOwner = 5
	b.begin()
	var second *hand
	for _, c := range []struct {
		named, wish, gpu string
		want             string
	}{
		{"", "", "", "computer"},
		{"", "", "", "computer 2"},
		{"", "attic", "NVIDIA GeForce RTX 3060", "attic"},
		{"cellar", "attic", "", "cellar"},
		{"", "", "NVIDIA GeForce RTX 3060", "RTX 3060"},
	} {
		join, _, err := b.pool.Link(t.Context(), community.Member{ID: owner}, c.named, true)
		if err != nil {
			t.Fatal(err)
		}
		h := b.stranger().connect(func(hello *protocol.Hello) {
			hello.JoinCode, hello.Name, hello.Hardware = join.Code, c.wish, gpu(c.gpu)
		})
		if h.bye != nil || h.welcome.Name != c.want {
			t.Fatalf("%+v was welcomed as %+v, %+v", c, h.welcome, h.bye)
		}
		h.close()
		if c.want == "computer 2" {
			second = h
		}
	}
	rows, err := store.Workers(t.Context(), owner)
	if err != nil || len(rows) != 5 || rows[1].Name != "computer 2" || rows[4].Name != "RTX 3060" || !rows[4].Share {
		t.Errorf("saved %+v, %v", rows, err)
	}
	// Linked again with the same key, it keeps what it was called.
	join, _, err := b.pool.Link(t.Context(), community.Member{ID: owner}, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if second.join(join.Code); second.bye != nil || second.welcome.Name != "computer 2" || second.welcome.Worker != rows[1].ID {
		t.Errorf("%+v %+v", second.welcome, second.bye)
	}
	second.close()
}

// TestLinkedBeforeNamesWereGiven: rows of then have no name.
func TestLinkedBeforeNamesWereGiven(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		noName := func(w *Worker) { w.Name = "" }
		first, second := b.enlist(9, noName), b.enlist(9, noName)
		for h, want := range map[*hand]string{first: "computer", second: "computer 2"} {
			if h.connect(); h.welcome.Name != want {
				t.Errorf("welcomed as %q, want %q", h.welcome.Name, want)
			}
			h.close()
		}
		if all, err := b.pool.Workers(t.Context(), 9); err != nil || all[0].Name != "computer" || all[1].Name != "computer 2" {
			t.Errorf("listed %+v, %v", all, err)
		}
	})
}

func TestMachinesCannotPingOrLinkByTheirNames(t *testing.T) {
	for given, want := range map[string]string{
		"RTX 9090 Ti @everyone [x](http://evil.example)": "RTX 9090 Ti everyone x (http evil.example)",
		"<@123> **bold** `code` ||spoiler|| a_b":         "123 bold code spoiler a b",
		"NVIDIA GeForce RTX 3060 (12 GB)":                "NVIDIA GeForce RTX 3060 (12 GB)",
		"Rita's PC #2 + eGPU":                            "Rita's PC #2 + eGPU",
	} {
		if got := label(given, 64); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}
