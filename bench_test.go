package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func median(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)/2]) / float64(time.Millisecond)
}

// pingPong is the floor of anything that goes over loopback between two processes: the median of a small request and its answer on an open connection.
func pingPong(v *visitor) float64 {
	var took []time.Duration
	for range 200 {
		began := time.Now()
		v.request("GET", "/healthz", nil).Body.Close()
		took = append(took, time.Since(began))
	}
	return median(took)
}

// BenchmarkWordToPage is the way of one word: a model server writes it, the real worker process reads it and sends a frame, the real bot has it as an event on
// the page of a visitor. The words come 100 ms apart, as those of a model on a small card.
func BenchmarkWordToPage(b *testing.B) {
	model := serveModel(b)
	data := b.TempDir()
	write(b, filepath.Join(data, "worker", "config.yaml"), model.config())
	demo := start(b, "potluck", "", []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data}, "demo")
	base := demo.said(demo.out, `Potluck is at +(http://127\.0\.0\.1:[1-9]\d*)`)[1]
	demo.said(demo.out, "linked and offers:")
	v := visit(b, base, "Anna")
	floor := pingPong(v)
	question := v.say("/ask say something")
	model.asked(b)
	defer model.end()
	var took []time.Duration
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	model.say(b, "Words:")
	v.growing(question, "Words:")
	b.ResetTimer()
	for i := range b.N {
		<-pace.C
		word := fmt.Sprintf(" w%d.", i)
		began := time.Now()
		model.say(b, word)
		v.growing(question, word)
		took = append(took, time.Since(began))
	}
	b.StopTimer()
	b.ReportMetric(median(took), "p50-ms")
	b.ReportMetric(floor, "ping-ms")
	b.ReportMetric(median(took)/floor, "p50/ping")
}

// BenchmarkAcknowledgeOnDiscord is the time from an interaction's making to its acknowledgement, while 500 questions come in ten seconds to the real
// bot, whose only machine is busy with the first ones.
func BenchmarkAcknowledgeOnDiscord(b *testing.B) {
	var took []time.Duration
	for range b.N {
		b.StopTimer()
		s := openServer(b)
		b.StartTimer()
		took = append(took, s.rush(500)...)
		b.StopTimer()
		s.bot.kill()
		<-s.bot.ended
		s.fake.Close()
		b.StartTimer()
	}
	b.ReportMetric(median(took), "p50-ms")
	b.ReportMetric(float64(took[len(took)-1])/float64(time.Millisecond), "slowest-ms")
}

// BenchmarkBoot starts the real bot in an empty folder until it says where its page is; resident is what it then holds, with the page read once.
func BenchmarkBoot(b *testing.B) {
	var resident float64
	var took []time.Duration
	binary(b, "potluck") // built before anything is measured
	for range b.N {
		data := filepath.Join(b.TempDir(), "data")
		began := time.Now()
		bot := start(b, "potluck", "", []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + data, "POTLUCK_PAGE_ENABLED=true"}, "serve")
		base := bot.said(bot.out, `(http://127\.0\.0\.1:[1-9]\d*)`)[1]
		took = append(took, time.Since(began))
		v := visit(b, base, "Anna")
		v.request("GET", "/", nil).Body.Close()
		resident = max(resident, rss(b, bot.cmd.Process.Pid))
		v.close()
		bot.stop()
	}
	b.ReportMetric(median(took), "boot-ms")
	b.ReportMetric(resident, "RSS-MB")
}

// rss reads how many megabytes of a process are in memory.
func rss(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("resident memory is read from /proc, which this system does not have")
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kb / 1024
}
