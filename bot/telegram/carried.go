package telegram

import (
	"cmp"
	"fmt"
	"strings"

	"potluck/bot"
)

// carried lists what a message brings besides its text.
func carried(m *rawMessage) (all []bot.Carried) {
	file := func(kind bot.CarriedKind, f *rawFile, called, media string) {
		if f != nil {
			all = append(all, bot.Carried{Kind: kind, Name: cmp.Or(f.Name, called), Type: cmp.Or(f.Type, media), Size: f.Size})
		}
	}
	if n := len(m.Photo); n > 0 {
		all = append(all, bot.Carried{Kind: bot.CarriedFile, Name: "photo.jpg", Type: "image/jpeg", Size: m.Photo[n-1].Size})
	}
	if m.Animation == nil { // an animation comes as a document, too
		file(bot.CarriedFile, m.Document, "file", "")
	}
	file(bot.CarriedFile, m.Video, "video.mp4", "video/mp4")
	file(bot.CarriedFile, m.Animation, "animation.mp4", "video/mp4")
	file(bot.CarriedFile, m.Audio, "audio", "audio/mpeg")
	file(bot.CarriedVoice, m.Voice, "voice.ogg", "audio/ogg")
	file(bot.CarriedVoice, m.VideoNote, "video-note.mp4", "video/mp4")
	if m.PaidMedia != nil {
		all = append(all, bot.Carried{Kind: bot.CarriedFile, Name: fmt.Sprintf("⭐ %d", m.PaidMedia.Stars)})
	}
	if s := m.Sticker; s != nil {
		all = append(all, bot.Carried{Kind: bot.CarriedSticker, Name: strings.TrimSpace(s.Emoji + " " + s.Set)})
	}
	if m.Poll != nil {
		var lines []string
		for _, o := range m.Poll.Options {
			lines = append(lines, "• "+o.Text)
		}
		all = append(all, bot.Carried{Kind: bot.CarriedPoll, Name: m.Poll.Question, Text: bot.Plain(strings.Join(lines, "\n"))})
	}
	switch {
	case m.Venue != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedPlace, Name: m.Venue.Title, Text: bot.Plain(m.Venue.Address), URL: m.Venue.Location.address()})
	case m.Location != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedPlace, URL: m.Location.address()})
	case m.Contact != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedFile, Name: strings.TrimSpace(m.Contact.First+" "+m.Contact.Last) + ".vcf", Type: "text/vcard"})
	case m.Dice != nil:
		all = append(all, bot.Carried{Kind: bot.CarriedSticker, Name: fmt.Sprintf("%s %d", m.Dice.Emoji, m.Dice.Value)})
	}
	if o := m.Origin; o != nil {
		from := o.Name
		switch {
		case o.User != nil:
			from = o.User.shown()
		case o.Chat != nil:
			from = o.Chat.shown()
		case o.From != nil:
			from = o.From.shown()
		}
		all = append(all, bot.Carried{Kind: bot.CarriedForward, Name: from})
	}
	return all
}

// address is where a place can be looked at.
func (l rawLocation) address() string {
	return fmt.Sprintf("https://www.openstreetmap.org/?mlat=%.5f&mlon=%.5f", l.Latitude, l.Longitude)
}
