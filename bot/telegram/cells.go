package telegram

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"

	"potluck/bot"
)

const (
	maxAlbum     = 10
	maxPhoto     = 10 << 20 // bytes
	maxDocument  = 50 << 20
	maxPhotoEdge = 10_000 // width and height together
	maxPhotoAxis = 20     // the longer edge by the shorter
	maxButtons   = 100
	maxLabel     = 40 // characters that fit on a phone
	rowWidth     = 30 // characters of the labels in one row
)

// cell is one message of an answer.
type cell struct {
	text    rendered     // the text, or the caption of a picture
	picture *bot.Picture // nil: a text
	file    bool         // the picture goes as a file: it is too large for a photo
	album   bool         // it belongs to the album with the other cells that say so
	buttons [][]models.InlineKeyboardButton
}

// cells lays m out as messages: a picture with a short text as its caption, several pictures as an album, and the text, split, behind it.
func cells(m bot.Outgoing) ([]cell, error) {
	pictures := m.Pictures[:min(len(m.Pictures), maxAlbum)]
	var all []cell
	file := slices.ContainsFunc(pictures, func(p bot.Picture) bool { return !isPhoto(p) })
	for i := range pictures {
		if len(pictures[i].Data) > maxDocument || len(pictures[i].Data) == 0 {
			return nil, fmt.Errorf("%w: picture %d has %d bytes", bot.ErrRejected, i+1, len(pictures[i].Data))
		}
		all = append(all, cell{picture: &pictures[i], file: file, album: len(pictures) > 1})
	}
	text := m.Text.Trimmed()
	if len(pictures) == 1 && measure(text) <= maxCaption {
		all[0].text = render(text)
	} else if text.Plain != "" || len(pictures) == 0 || len(m.Buttons) > 0 && len(pictures) > 1 {
		if text.Plain == "" {
			text = bot.Plain("…") // a message has some text, and an album no buttons
		}
		for _, part := range split(text, maxText) {
			all = append(all, cell{text: render(part)})
		}
	}
	all[len(all)-1].buttons = rows(m.Buttons)
	return all, nil
}

// isPhoto tells whether Telegram takes a picture as a photo.
func isPhoto(p bot.Picture) bool {
	w, h := p.Width, p.Height
	if len(p.Data) > maxPhoto || w+h > maxPhotoEdge {
		return false
	}
	return w == 0 || h == 0 || w <= maxPhotoAxis*h && h <= maxPhotoAxis*w
}

// rows puts buttons side by side while their labels can be read.
func rows(buttons []bot.Button) (all [][]models.InlineKeyboardButton) {
	width := rowWidth + 1
	for _, b := range buttons[:min(len(buttons), maxButtons)] {
		label := cmp.Or(bot.Cut(b.Label, maxLabel), "…") // Telegram takes no empty one
		n := utf8.RuneCountInString(label) + 2
		if width+n > rowWidth || len(all[len(all)-1]) == 8 {
			all, width = append(all, nil), 0
		}
		width += n
		style := map[bot.ButtonStyle]string{bot.Primary: "primary", bot.Danger: "danger"}[b.Style]
		last := &all[len(all)-1]
		*last = append(*last, models.InlineKeyboardButton{Text: label, CallbackData: b.ID, Style: style})
	}
	return all
}

// markup is the keyboard of a cell, nil without one.
func (c cell) markup() models.ReplyMarkup {
	if len(c.buttons) == 0 {
		return nil
	}
	return &models.InlineKeyboardMarkup{InlineKeyboard: c.buttons}
}

// hash tells whether two cells look the same.
func (c cell) hash() [32]byte {
	h := sha256.New()
	b, _ := json.Marshal([]any{c.text.text, c.text.entities, c.buttons, c.file}) // strings and numbers always encode
	h.Write(b)
	if c.picture != nil {
		h.Write(c.picture.Data)
		h.Write([]byte(strconv.FormatBool(c.picture.Spoiler)))
	}
	return [32]byte(h.Sum(nil))
}

// upload is how the picture's file is called; the number keeps the names of an album apart.
func (c cell) upload(i int) string {
	base, ext, ok := strings.Cut(c.picture.Name, ".")
	if !ok {
		ext = "png"
	}
	return base + "-" + strconv.Itoa(i) + "." + ext
}
