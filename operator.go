package main

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"potluck/bot/webchat"
	"potluck/community"
	"potluck/storage"
	"potluck/web/operator"
)

// mountOperator puts the operator's view beside the page, whose sessions say who the operator is.
func (h *house) mountOperator(mounts map[string]http.Handler, page *webchat.Page) error {
	view, err := operator.New(operator.Config{
		Store: &storage.Operator{DB: h.db}, Pool: h.pool, Title: h.config.Page.Name, Version: version, Settings: h.settingsForView, Origins: []string{h.publicURL()},
		Who: func(r *http.Request) (community.Member, bool, error) { return h.operatorOf(page, r) },
		Pause: func(ctx context.Context, worker int64, by community.Member, pause bool) error {
			if pause {
				return h.pool.Pause(ctx, worker, by)
			}
			return h.pool.Resume(ctx, worker, by)
		},
		Audit: h.auditForView, Now: time.Now, Log: h.log,
	})
	if err != nil {
		return err
	}
	mounts[operator.Path], mounts[operator.Path+"/"] = view.Handler(), view.Handler()
	return nil
}

// operatorOf tells which operator makes a request. Whoever lost the role since the session began is none any more.
func (h *house) operatorOf(page *webchat.Page, r *http.Request) (community.Member, bool, error) {
	s, ok, err := page.Visitor(r)
	if err != nil || !ok || s.User != webchat.OperatorUser {
		return community.Member{}, false, err
	}
	m, err := h.people.Member(r.Context(), s.User, "", time.Now())
	return m, err == nil && m.Operator && !m.Blocked, err
}

func (h *house) auditForView(ctx context.Context) (operator.Audit, error) {
	r, err := h.credits.Audit(ctx)
	a := operator.Audit{Jobs: r.Jobs, Transactions: r.Transactions, Postings: r.Postings, Outstanding: r.Outstanding}
	for _, b := range r.Breaches {
		a.Breaches = append(a.Breaches, b.Invariant+": "+b.Detail)
	}
	return a, err
}

// settingsForView is what holds now: the configuration, and over it what the operator set while the program ran.
func (h *house) settingsForView() []operator.Setting {
	list := settings(h.config)
	for _, k := range h.knobs.settings() {
		i := slices.IndexFunc(list, func(s operator.Setting) bool { return s.Key == k.Name })
		if i >= 0 && k.Value != k.Configured {
			list[i].Value, list[i].Set, list[i].Chat = fmt.Sprint(k.Value), true, true
		}
	}
	return list
}

// settings lists every key of a configuration with its default. Of a secret nothing but whether there is one.
func settings(c Config) []operator.Setting {
	return settingsBelow(reflect.ValueOf(c), reflect.ValueOf(defaultConfig()), "")
}

func settingsBelow(v, standard reflect.Value, prefix string) (list []operator.Setting) {
	for f, fv := range v.Fields() {
		key, sv := prefix+f.Tag.Get("yaml"), standard.FieldByIndex(f.Index)
		if f.Type.Kind() == reflect.Struct {
			list = append(list, settingsBelow(fv, sv, key+".")...)
			continue
		}
		s := operator.Setting{Key: key, Secret: f.Type.Kind() == reflect.String && isSecret(key)} // workers.first_token is a time
		if s.Secret {
			s.Set = !fv.IsZero()
		} else {
			s.Value, s.Default = settingText(fv), settingText(sv)
			s.Set = s.Value != s.Default
		}
		list = append(list, s)
	}
	return list
}

// isSecret goes by the last word of a key; a key that names the file of a secret is none.
func isSecret(key string) bool {
	words := strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '_' })
	return slices.Contains([]string{"token", "secret", "password", "key"}, words[len(words)-1])
}

func settingText(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(v.Interface())
}
