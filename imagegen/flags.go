package imagegen

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"potluck/fault"
	"potluck/ledger"
)

// maxSeed is what every inference program takes.
const maxSeed = 1<<32 - 1

// Phones make one dash out of two, so every long dash starts a flag too.
var flagPattern = regexp.MustCompile(`(?i)(?:^|\s)(?:--|—|–|―|−−)(aspect|ar|seed|style|no|negative|neg|count|model)(?:\s*=\s*|\s+|$)`)

// withFlags moves the flags that people type inside of a prompt ("--ar 16:9", "—seed 5", "--no text, people") into the Request. What the Request has
// set already wins. Unknown flags stay in the prompt.
func withFlags(r Request) (Request, error) {
	found := flagPattern.FindAllStringSubmatchIndex(r.Prompt, -1)
	if found == nil {
		return r, nil
	}
	prompt := r.Prompt
	kept := prompt[:found[0][0]]
	for i, m := range found {
		end := len(prompt)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		name, rest := strings.ToLower(prompt[m[2]:m[3]]), strings.TrimSpace(prompt[m[1]:max(m[1], end)])
		value := rest
		if name != "no" && name != "neg" && name != "negative" { // these take everything up to the next flag
			if n := strings.IndexFunc(rest, unicode.IsSpace); n >= 0 {
				value = rest[:n]
				kept += " " + strings.TrimSpace(rest[n:])
			}
			value = strings.TrimRight(value, ",.;")
		}
		if err := r.set(name, value); err != nil {
			return r, err
		}
	}
	r.Prompt = strings.TrimSpace(kept)
	return r, nil
}

func (r *Request) set(flag, value string) error {
	switch flag {
	case "ar", "aspect":
		if r.Aspect == "" {
			if value == "" {
				value = "?" // refused with what is possible
			}
			r.Aspect = value
		}
	case "style":
		if r.Style == "" {
			r.Style = strings.ToLower(value)
		}
	case "model":
		if r.Model == "" && value != "" {
			r.Model = ledger.DefaultRates().Canonical(value)
		}
	case "no", "neg", "negative":
		r.Negative = joined(r.Negative, value)
	case "count":
		if r.Count == 0 {
			n, err := strconv.Atoi(value)
			if err != nil || n == 0 {
				return badCount(value)
			}
			r.Count = n
		}
	case "seed":
		if r.Seed == nil {
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return badSeed(value)
			}
			r.Seed = &n
		}
	}
	return nil
}

func badSeed(value any) error {
	return fault.New(fault.BadOption, "option", "seed", "value", value, "want", "0–4294967295")
}

func badCount(value any) error {
	return fault.New(fault.BadOption, "option", "count", "value", value, "want", "1–4")
}

// joined puts parts of a prompt behind each other.
func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p = strings.Trim(p, " ,\n\t"); p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, ", ")
}

var (
	extraArgs = regexp.MustCompile(`(?is)<\s*sd_cpp_extra_args[^>]*>.*?(?:<\s*/\s*sd_cpp_extra_args[^>]*>|$)`)
	// What loads another file into the model, and nothing else: people write "x<y and z>w" too, and mean every word.
	loads = regexp.MustCompile(`(?i)<\s*(?:lora|lyco|hypernet|embedding)\s*:[^<>]*>|\bembedding:[^\s,()<>]+`)
)

// inert drops what inference programs would read as commands: <lora:…>, embedding:…, <sd_cpp_extra_args>…, and every control character. No
// angle bracket is left; other words between two of them stay.
func inert(prompt string) string {
	prompt = readable(prompt) // first, for what is dropped there could stand inside of a command's name
	for before := ""; before != prompt; {
		before = prompt
		prompt = loads.ReplaceAllString(extraArgs.ReplaceAllString(prompt, " "), " ")
	}
	return strings.Join(strings.Fields(strings.NewReplacer("<", " ", ">", " ").Replace(prompt)), " ")
}

// readable is a text in one line without what nobody sees.
func readable(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case unicode.IsControl(c), unicode.Is(unicode.Bidi_Control, c), c >= 0xE0000 && c <= 0xE0FFF, c == 0x200B, c == 0x2060, c == 0xFEFF:
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}
