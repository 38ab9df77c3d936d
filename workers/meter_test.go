package workers

import (
	"encoding/binary"
	"io"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"potluck/workers/protocol"
)

// frame is a WebSocket frame of a client: first byte, length, mask, content.
func frame(first byte, content int) []byte {
	b := []byte{first}
	switch {
	case content < 126:
		b = append(b, 0x80|byte(content))
	case content < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(content))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(content))
	}
	return append(b, make([]byte, 4+content)...)
}

// However a stream is cut into reads, the meter counts the frames in it and takes no byte of a content for one.
func TestMeterCountsEveryFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "frames")
		var stream []byte
		controls := 0
		for range n {
			first := rapid.SampledFrom([]byte{0x81, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x88}).Draw(t, "first")
			content := rapid.SampledFrom([]int{0, 1, 125, 126, 127, 65535, 65536}).Draw(t, "content")
			if first&8 != 0 {
				controls++
				content = min(content, 125)
			}
			stream = append(stream, frame(first, content)...)
		}
		for _, most := range []int{n, n - 1} { // so many are allowed
			m := newMeter()
			m.pieces, m.control = rate.NewLimiter(0, most), rate.NewLimiter(0, controls)
			ok := true
			for rest := stream; len(rest) > 0 && ok; {
				cut := min(rapid.SampledFrom([]int{1, 2, 3, 7, 4096, 1 << 20}).Draw(t, "read"), len(rest))
				ok, rest = m.scan(rest[:cut]), rest[cut:]
			}
			if ok != (most == n) {
				t.Fatalf("%d frames where %d are allowed: %v", n, most, ok)
			}
		}
		if controls > 0 {
			m := newMeter()
			m.control = rate.NewLimiter(0, controls-1)
			if m.scan(stream) {
				t.Fatalf("%d pings and pongs passed where %d are allowed", controls, controls-1)
			}
		}
	})
}

func TestTurnstileForgetsWhoDoesNotCome(t *testing.T) {
	s := newTurnstile[string](1, 10)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 10 {
		if !s.pass("often", now) {
			t.Fatal("stopped too early")
		}
	}
	if s.pass("often", now) || !s.pass("other", now) {
		t.Error("the wrong one is stopped")
	}
	for i := range 5000 {
		s.pass(string(rune(i+0x4e00)), now)
	}
	now = now.Add(10 * time.Second)
	if !s.pass("often", now) || len(s.all) > 2 {
		t.Errorf("%d are remembered", len(s.all))
	}
}

// What comes behind the request for the upgrade is in a buffer already when the meter begins.
func TestMeterSeesWhatCameWithTheUpgrade(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		conn, err := b.net.(*pipes).dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		stream := upgrade(b.enlist(9), "")
		for range controlBurst + 1 {
			stream = append(stream, frame(0x89, 0)...)
		}
		began := time.Now()
		go func() { _, _ = conn.Write(stream) }()
		if _, err = io.Copy(io.Discard, conn); err != nil || time.Since(began) >= protocol.HelloTimeout {
			t.Errorf("ended after %v, %v", time.Since(began), err)
		}
	})
}
