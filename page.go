package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/commands"
	"potluck/community"
	"potluck/imagegen"
	"potluck/storage"
)

// communityName is the page's part in its community's id. The name that people read can change; the id cannot.
const communityName = "potluck"

type PageConfig struct {
	Enabled    bool     `yaml:"enabled"`
	Name       string   `yaml:"name"`
	Chats      []string `yaml:"chats"`
	DemoEngine bool     `yaml:"demo_engine"`
}

// validate names what the page would refuse at the start; of a page that is off nothing matters.
func (p PageConfig) validate() (wrong []error) {
	if !p.Enabled {
		return nil
	}
	if p.Name == "" {
		wrong = append(wrong, errors.New("page.name is empty: want a name"))
	}
	if len(p.Chats) == 0 {
		wrong = append(wrong, errors.New("page.chats is empty: want at least one chat"))
	}
	if err := webchat.CheckChats(p.Chats); err != nil {
		wrong = append(wrong, fmt.Errorf("page.chats: %w", err))
	}
	return wrong
}

func (h *house) buildPage(album *imagegen.Album, all []bot.Command, texts *commands.Catalogue) (*webchat.Page, error) {
	token, passes := newToken(), newOperatorPasses(h.alias, time.Now())
	h.operatorURL = h.publicURL() + operatorPath + token
	return webchat.New(webchat.Config{
		Store: &storage.Page{DB: h.db}, Pictures: album, Name: communityName, Title: h.config.Page.Name, Chats: h.config.Page.Chats,
		OperatorToken: token,
		OperatorPass:  func(token string) bool { return passes.take(token, time.Now()) },
		Operator: func(ctx context.Context, user community.UserID, name string) error {
			_, err := h.makeOperator(ctx, user, name)
			return err
		},
		PrivateCommand: func(text string) bool { return bot.IsPrivate(all, text) },
		Asked: func(ctx context.Context, chat community.ChatID, m community.MessageID) (bool, error) {
			asked, err := (&storage.Requests{DB: h.db}).Asked(ctx, chat, m)
			return len(asked) > 0, err
		},
		Commands: func(ctx context.Context, user community.UserID, locale string) any {
			return completions(all, h.pageRole(ctx, user), texts.Say(texts.Match(locale)))
		},
		Language: func(ctx context.Context, user community.UserID, name, language string) error {
			m, err := h.people.Member(ctx, user, name, time.Now())
			if err != nil {
				return err
			}
			return h.people.SetLanguage(ctx, m.ID, language)
		},
		Suggest: func(_, command, option, typed string) []string { return suggest(all, command, option, typed) },
		Pool:    func() webchat.Pool { return h.poolGlance(community.Chat{ID: "page:" + communityName}) },
		Purse: func(ctx context.Context, user community.UserID, household string) (webchat.Purse, error) {
			return h.purse(ctx, user, "page:"+communityName, household)
		},
		Secure:  func(*http.Request) bool { return strings.HasPrefix(h.config.HTTP.PublicURL, "https://") },
		Address: h.caller.Of, Household: h.household,
		Origins: []string{h.publicURL()},
		Now:     time.Now, Log: h.log,
	})
}
