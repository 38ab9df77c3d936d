package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"potluck/bot"
	"potluck/fault"
)

const (
	callTime    = 30 * time.Second
	uploadTime  = 3 * time.Minute
	answerLimit = 16 << 20 // bytes of an answer
	// maxLimited is how often one call may be told to wait before it fails; each time it waited as long as Telegram wanted.
	maxLimited = 20
)

// api calls the Bot API within its limits.
type api struct {
	bot    *tg.Bot // sends; nothing of it runs by itself
	base   string  // "https://api.telegram.org"
	token  string
	client *http.Client
	budget *budget
}

func newAPI(c Config, transport http.RoundTripper, b *budget) (*api, error) {
	a := &api{base: strings.TrimRight(c.APIBase, "/"), token: c.Token, client: &http.Client{Transport: transport}, budget: b}
	sender, err := tg.New(c.Token, tg.WithServerURL(a.base), tg.WithHTTPClient(callTime, tidy{a.client}), tg.WithSkipGetMe(),
		tg.WithErrorsHandler(func(error) {}), // it may quote bodies; the calls return their errors
		tg.WithDefaultHandler(func(context.Context, *tg.Bot, *models.Update) {}))
	if err != nil {
		return nil, err
	}
	a.bot = sender
	return a, nil
}

// errNotJSON is an answer that is none of the Bot API's: a proxy's page, say.
type errNotJSON struct{ status int }

func (e errNotJSON) Error() string {
	return fmt.Sprintf("the answer (status %d) is not the Bot API's", e.status)
}

// tidy is the HTTP client that go-telegram/bot sends with. It bounds answers, keeps bodies and the token out of errors, and cuts the message
// that a sending call returns down to its id: a value in it that the library does not know would make a message that is out look failed,
// and it would be sent again.
type tidy struct{ client *http.Client }

func (t tidy) Do(req *http.Request) (*http.Response, error) {
	res, err := t.client.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return nil, bare(err)
	}
	var a answer
	if json.Unmarshal(b, &a) != nil || !a.OK && a.ErrorCode == 0 {
		return nil, errNotJSON{res.StatusCode}
	}
	if a.OK {
		a.Result = onlyIDs(a.Result)
		if string(a.Result) == "true" && strings.Contains(req.URL.Path, "/editMessage") {
			a.Result = json.RawMessage("{}") // of an inline message, where the library expects a message, too
		}
	}
	if b, err = json.Marshal(a); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res, nil
}

type answer struct {
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result,omitempty"`
	Description string          `json:"description,omitempty"`
	ErrorCode   int             `json:"error_code,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
}

// onlyIDs cuts messages down to their ids and leaves everything else as it is.
func onlyIDs(raw json.RawMessage) json.RawMessage {
	type id struct {
		ID int `json:"message_id"`
	}
	var one id
	if json.Unmarshal(raw, &one) == nil && one.ID != 0 {
		b, _ := json.Marshal(one) // a number always encodes
		return b
	}
	var list []id
	if json.Unmarshal(raw, &list) == nil && len(list) > 0 && list[0].ID != 0 {
		b, _ := json.Marshal(list)
		return b
	}
	return raw
}

// bare is a network error without the address, in which the token stands.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", strings.ToLower(e.Op), e.Err)
	}
	return err
}

// call is what the budget and the errors need to know of a call.
type call struct {
	chat  int64
	cost  int // messages that it writes
	class class
	long  bool // it uploads
}

// do makes a call as often as Telegram's limits want it: a 429 is waited for to its end, then it is made again.
func (a *api) do(ctx context.Context, c call, f func(context.Context) error) error {
	limit := callTime
	if c.long {
		limit = uploadTime
	}
	for tries := 0; ; tries++ {
		if err := a.budget.enter(ctx, c.chat, c.cost, c.class); err != nil {
			return err
		}
		one, cancel := context.WithTimeout(ctx, limit)
		err := f(one)
		cancel()
		wait, limited := retryAfter(err)
		if !limited {
			return err
		}
		if c.chat != 0 {
			a.budget.limit(c.chat, wait)
		}
		if c.class == progress {
			return errDropped
		}
		if tries == maxLimited {
			return err
		}
		// Telling the commands, say, has a limit of its own: nobody else waits for that.
		if c.chat == 0 && bot.Wait(ctx, wait) != nil {
			return err
		}
	}
}

// retryAfter reads how long a 429 lasts.
func retryAfter(err error) (wait time.Duration, limited bool) {
	e, ok := errors.AsType[*tg.TooManyRequestsError](err)
	if !ok {
		return 0, false
	}
	return time.Duration(min(max(e.RetryAfter, 1), 24*3600)) * time.Second, true
}

// raw makes a call whose result is decoded into as little as is needed. It is beside the budget: it writes nothing.
func (a *api) raw(ctx context.Context, method string, params, into any, limit time.Duration) error {
	body, err := json.Marshal(params)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/bot"+a.token+"/"+method, bytes.NewReader(body))
	if err != nil {
		return errors.New(method + ": the address of the Bot API is wrong") // the error itself would quote the token
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", method, bare(err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("%s: %w", method, bare(err))
	}
	var got answer
	if json.Unmarshal(b, &got) != nil || !got.OK && got.ErrorCode == 0 {
		return fmt.Errorf("%s: %w", method, errNotJSON{res.StatusCode})
	}
	if !got.OK {
		return fmt.Errorf("%s: %w", method, got.failure())
	}
	if into != nil {
		if err := json.Unmarshal(got.Result, into); err != nil {
			return fmt.Errorf("%s: the result cannot be read: %s", method, kindOf(err))
		}
	}
	return nil
}

// failure is an error in go-telegram/bot's words, so that there is one kind of each.
func (a answer) failure() error {
	var p struct {
		RetryAfter int   `json:"retry_after"`
		Migrate    int64 `json:"migrate_to_chat_id"`
	}
	_ = json.Unmarshal(a.Parameters, &p) // without parameters there is nothing to be read
	switch a.ErrorCode {
	case http.StatusTooManyRequests:
		return &tg.TooManyRequestsError{Message: a.Description, RetryAfter: p.RetryAfter}
	case http.StatusBadRequest:
		if p.Migrate != 0 {
			return &tg.MigrateError{Message: a.Description, MigrateToChatID: int(p.Migrate)}
		}
		return fmt.Errorf("%w, %s", tg.ErrorBadRequest, a.Description)
	case http.StatusUnauthorized:
		return fmt.Errorf("%w, %s", tg.ErrorUnauthorized, a.Description)
	case http.StatusForbidden:
		return fmt.Errorf("%w, %s", tg.ErrorForbidden, a.Description)
	case http.StatusNotFound:
		return fmt.Errorf("%w, %s", tg.ErrorNotFound, a.Description)
	case http.StatusConflict:
		return fmt.Errorf("%w, %s", tg.ErrorConflict, a.Description)
	}
	return fmt.Errorf("error %d, %s", a.ErrorCode, a.Description)
}

// kindOf is a decoding error without what people wrote: it may quote that.
func kindOf(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "field " + e.Field + " is no " + e.Type.String()
	}
	return "no valid JSON"
}

// says tells whether an error's description holds one of these.
func says(err error, phrases ...string) bool {
	if err == nil {
		return false
	}
	text := strings.ToLower(err.Error())
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

func unchanged(err error) bool { return says(err, "message is not modified") }

func messageGone(err error) bool {
	return says(err, "message to edit not found", "message can't be edited", "message_id_invalid", "message to delete not found", "message can't be deleted",
		"message_author_required")
}

// mayNotWrite: the chat or the topic takes nothing from the bot, now and as often as it is tried.
func mayNotWrite(err error) bool {
	return errors.Is(err, tg.ErrorForbidden) || says(err, "chat not found", "not enough rights", "have no rights", "chat_write_forbidden", "chat_restricted",
		"need administrator rights", "topic_closed", "topic_deleted", "message thread not found", "user is deactivated", "peer_id_invalid", "chat_send_",
		"group chat was deactivated")
}

// explain gives an error of a call the meaning that the core acts upon.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case fault.Has(err, fault.Gone) || fault.Has(err, fault.Forbidden):
		return err
	case mayNotWrite(err):
		return fault.Wrap(err, fault.Forbidden, "role", "")
	case messageGone(err):
		return fault.Wrap(err, fault.Gone)
	case errors.Is(err, tg.ErrorBadRequest) || says(err, "request entity too large"):
		return fmt.Errorf("%w: %w", bot.ErrRejected, err)
	}
	return err
}
