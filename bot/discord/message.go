package discord

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/bwmarrin/discordgo"

	"potluck/bot"
)

const (
	maxContent = 2000 // UTF-16 units of a message
	maxButtons = 25
	maxLabel   = 80
	maxFiles   = 10
	// mentionRoom is left in the first part of an answer that mentions who asked.
	mentionRoom = 30
)

// message is the body of every call that writes a message.
type message struct {
	Content     string       `json:"content"`
	Allowed     mentions     `json:"allowed_mentions"`
	Components  []row        `json:"components"`
	Attachments []attachment `json:"attachments"`
	Flags       int          `json:"flags"`
	Nonce       string       `json:"nonce,omitempty"`
	Enforce     bool         `json:"enforce_nonce,omitempty"`
	Reference   *reference   `json:"message_reference,omitempty"`

	files []file
}

type row struct {
	Type       discordgo.ComponentType `json:"type"`
	Components []discordgo.Button      `json:"components"`
}

type attachment struct {
	ID          string `json:"id"`
	Filename    string `json:"filename"`
	Description string `json:"description,omitempty"`
}

type reference struct {
	MessageID string `json:"message_id"`
	MustExist bool   `json:"fail_if_not_exists"`
}

// parts renders m as the messages that it needs: texts split, pictures and buttons at the last one. room is kept free in the first.
func parts(m bot.Outgoing, room, fileLimit int) ([]message, error) {
	texts := split(expanded(m.Text), maxContent-room)
	if len(texts) == 0 {
		texts = []bot.Text{{}}
	}
	all := make([]message, len(texts))
	for i, t := range texts {
		all[i] = message{
			Content: render(t), Allowed: nobody, Components: []row{}, Attachments: []attachment{}, Flags: flagSuppress,
		}
	}
	last := &all[len(all)-1]
	last.Components = rows(m.Buttons, m.Nonce)
	return all, last.attach(m.Pictures, fileLimit)
}

// rows puts buttons into rows of five. The nonce behind an id lets a message be found again whose own id got lost in a kill.
func rows(buttons []bot.Button, nonce string) []row {
	all := []row{}
	for i, b := range buttons[:min(len(buttons), maxButtons)] {
		if i%5 == 0 {
			all = append(all, row{Type: discordgo.ActionsRowComponent})
		}
		style := map[bot.ButtonStyle]discordgo.ButtonStyle{bot.Primary: discordgo.PrimaryButton, bot.Danger: discordgo.DangerButton}[b.Style]
		if style == 0 {
			style = discordgo.SecondaryButton
		}
		id := b.ID
		if nonce != "" {
			id += "." + nonce
		}
		at := &all[len(all)-1]
		at.Components = append(at.Components, discordgo.Button{CustomID: id, Label: bot.Cut(b.Label, maxLabel), Style: style})
	}
	return all
}

func (m *message) attach(pictures []bot.Picture, limit int) error {
	for i, pic := range pictures[:min(len(pictures), maxFiles)] {
		data, kind, err := fitting(pic, limit)
		if err != nil {
			return fmt.Errorf("picture %d: %w", i+1, err)
		}
		base, _, _ := strings.Cut(pic.Name, ".")
		called := base + map[string]string{"image/png": ".png", "image/jpeg": ".jpg"}[kind]
		if pic.Spoiler {
			called = "SPOILER_" + called
		}
		m.files = append(m.files, file{name: called, kind: kind, data: data})
		m.Attachments = append(m.Attachments, attachment{ID: strconv.Itoa(i), Filename: called, Description: bot.Cut(pic.Alt, 1000)})
	}
	return nil
}

// hash tells whether two messages look the same.
func (m message) hash() [32]byte {
	h := sha256.New()
	m.Nonce, m.Reference = "", nil
	b, _ := json.Marshal(m) // strings and numbers always encode
	h.Write(b)
	for _, f := range m.files {
		h.Write(f.data)
	}
	return [32]byte(h.Sum(nil))
}

// nobody is allowed_mentions of everything that the bot sends: no text of a model or a person notifies anyone.
var nobody = mentions{Parse: []string{}}

type mentions struct {
	Parse []string `json:"parse"`
	Users []string `json:"users,omitempty"`
}
