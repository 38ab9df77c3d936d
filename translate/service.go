package translate

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Config is what a Service needs. Jobs is required; the rest has defaults.
type Config struct {
	Jobs     Jobs
	Detector Detector // nil: a Request without From is refused with fault.LanguageUnsure
	// MaxLength is the longest text in characters; 0 = 4000.
	MaxLength int
	// Margin is how far the first guess of a language must be ahead of the second; 0 = 0.5.
	Margin float64
	// Wait is how long a translation may take from submission to result; 0 = 60 s.
	Wait time.Duration
}

// Service translates texts. It may be used from any goroutine.
type Service struct {
	Jobs      Jobs
	Detector  Detector
	maxLength int
	margin    float64
	wait      time.Duration
}

// New makes a Service.
func New(c Config) *Service {
	s := &Service{Jobs: c.Jobs, Detector: c.Detector, maxLength: c.MaxLength, margin: c.Margin, wait: c.Wait}
	if s.maxLength <= 0 {
		s.maxLength = 4000
	}
	if s.margin <= 0 {
		s.margin = 0.5
	}
	if s.wait <= 0 {
		s.wait = time.Minute
	}
	return s
}

// maxGlossary entries go with a job; only those whose term stands in the text are sent.
const maxGlossary = 100

// Translate brings a text into another language. A text with nothing to translate comes back as it is, without a job. Faults: TooLong,
// UnknownLang, LanguageUnsure (ask for From), SameLanguage (the Translation then holds the text as it is, for callers who rather show that), and what
// the pool says. progress gets the events of the job, and may be nil.
func (s *Service) Translate(ctx context.Context, r Request, progress func(workers.Event)) (Translation, error) {
	if n := utf8.RuneCountInString(r.Text); n > s.maxLength {
		return Translation{}, fault.New(fault.TooLong, "option", "text", "length", n, "max", s.maxLength)
	}
	if !utf8.ValidString(r.Text) {
		r.Text, r.Fixed = strings.ToValidUTF8(r.Text, "\uFFFD"), nil // the ranges no longer fit
	}
	to, ok := Parse(r.To)
	if !ok {
		return Translation{}, fault.New(fault.UnknownLang, "value", r.To)
	}
	from := ""
	if r.From != "" {
		if from, ok = Parse(r.From); !ok {
			return Translation{}, fault.New(fault.UnknownLang, "value", r.From)
		}
	}
	source := Shield(r.Text, r.Fixed)
	untouched := Translation{Text: r.Text, From: from, To: to}
	if r.Text != "" {
		untouched.Kept = [][2]int{{0, len(r.Text)}}
	}
	if trivial(source) {
		return untouched, nil
	}
	if from == "" {
		if from, ok = s.detect(source.Words(), r.Language); !ok {
			return Translation{}, fault.New(fault.LanguageUnsure)
		}
		untouched.From = from
	}
	if from == to {
		return untouched, fault.New(fault.SameLanguage, "language", Name(to, r.Language))
	}

	c := checker{source: source, from: from, to: to, detector: s.Detector, margin: s.margin}
	job := workers.Job{
		Origin:    r.Origin,
		Kind:      protocol.Translate,
		Translate: &protocol.TranslateJob{From: from, To: to, Segments: source.Segments, Glossary: glossary(r.Glossary, source.Words())},
		Work:      ledger.Work{Kind: string(protocol.Translate), InTokens: ledger.Tokens(source.Words())},
		Wait:      cmp.Or(r.Wait, s.wait),
		Check: func(res workers.Result) error {
			_, _, err := c.translation(res)
			return err
		},
	}
	job.Key += ":translate:" + to
	res, err := s.Jobs.Do(ctx, job, progress)
	if err != nil {
		return Translation{}, fmt.Errorf("translate %s to %s: %w", from, to, err)
	}
	text, kept, err := c.translation(res)
	if err != nil { // only where the pool did not ask Check
		return Translation{}, fmt.Errorf("translate %s to %s: %w", from, to, fault.Wrap(err, fault.BadResult, "kind", protocol.Translate))
	}
	return Translation{Text: text, Kept: kept, From: from, To: to, Rough: res.Quality == protocol.Rough, Result: res}, nil
}

// detect tells the language of a text. The reader's language decides only where the first guess is it and hardly ahead of the second.
func (s *Service) detect(text, reader string) (string, bool) {
	if tag, ok := s.Language(text, reader); ok { // of few words the letters tell nothing
		return tag, true
	}
	if s.Detector == nil {
		return "", false
	}
	got, margin, ok := s.Detector.Detect(text)
	if !ok {
		return "", false
	}
	if own, known := Parse(reader); known && own == got && margin >= s.margin/2 {
		return got, true
	}
	return got, margin >= s.margin
}

// glossary are the entries that the text needs.
func glossary(all map[string]string, text string) map[string]string {
	var out map[string]string
	text = strings.ToLower(text)
	for term, want := range all {
		if len(out) < maxGlossary && strings.TrimFunc(term, unicode.IsSpace) != "" && strings.Contains(text, strings.ToLower(term)) {
			if out == nil {
				out = map[string]string{}
			}
			out[term] = want
		}
	}
	return out
}
