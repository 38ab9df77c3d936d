package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"potluck/workers/agent/engine"
)

// engineNames are those that the engines list of config.yaml may hold.
var engineNames = []string{"openai", "apertium", "apertium-apy"}

// Look returns what looks for inference programs on this machine, as the owner's settings allow. What is named in the settings comes
// before what is found by itself; the demonstration, if wanted, comes last.
func (s Settings) Look() Discover {
	return func(ctx context.Context) (found []Found, missed []Missed) {
		named := map[string]bool{}
		for _, o := range s.OpenAI {
			base := strings.TrimRight(o.BaseURL, "/")
			named[base] = true
			e, note, err := s.openAI(ctx, o)
			if err != nil {
				missed = append(missed, Missed{Name: "openai at " + base, Why: err.Error()})
				continue
			}
			found = append(found, Found{Engine: e, Where: base, Note: note})
		}
		if s.Engines.Auto || len(s.Engines.Names) > 0 {
			here, notHere := engine.Discover(ctx, engine.DiscoverConfig{})
			for _, f := range here {
				switch name := f.Engine.Name(); {
				case named[f.Where]:
					CloseEngine(f.Engine)
				case !s.Engines.Auto && !slices.Contains(s.Engines.Names, name):
					CloseEngine(f.Engine)
					missed = append(missed, Missed{Name: name + " at " + f.Where, Why: "is here, but engines in config.yaml does not list " + name})
				default:
					found = append(found, Found(f))
				}
			}
			for _, m := range notHere {
				missed = append(missed, Missed(m))
			}
		}
		if s.Demo == DemoOn || s.Demo == DemoFill {
			found = append(found, Found{Engine: engine.NewDemo(demoPace()), Where: "built in", Note: "a demonstration, no model"})
		} else {
			missed = append(missed, Missed{Name: demoEngine, Why: "the demonstration is off (demo in config.yaml, or -demo)"})
		}
		return found, missed
	}
}

// openAI makes the engine of an entry and sees whether it answers.
func (s Settings) openAI(ctx context.Context, o OpenAI) (engine.Engine, string, error) {
	key, err := secret(o.APIKeyFile)
	if err != nil {
		return nil, "", fmt.Errorf("api_key_file cannot be read: %w", err)
	}
	e, err := engine.NewOpenAI(engine.OpenAIConfig{BaseURL: o.BaseURL, APIKey: key, Slots: o.Slots, MaxTokens: s.Limits.MaxTokens, AllowPublic: o.Force})
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, offersTimeout)
	defer cancel()
	offers, err := e.Offers(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("it does not list its models: %s", shortCause(err))
	}
	if len(offers) == 0 {
		return nil, "", errors.New("it has no usable model yet")
	}
	return e, "from config.yaml", nil
}

// secret reads the first 4 KiB of a file; "" for no file.
func secret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 4<<10))
	return strings.TrimSpace(string(b)), err
}

// CloseEngine stops the programs that an engine has started, if it starts any.
func CloseEngine(e engine.Engine) {
	if c, ok := e.(io.Closer); ok {
		_ = c.Close() // what it closes ends anyway
	}
}
