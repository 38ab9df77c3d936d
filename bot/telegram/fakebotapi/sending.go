package fakebotapi

import (
	"bytes"
	"image"
	_ "image/jpeg" // pictures are measured
	_ "image/png"
	"strconv"
	"strings"
	"time"
)

// begin makes a message of the bot from what all sending methods share.
func (s *Server) begin(r Request) (*Message, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	m := &Message{From: &s.self, Date: time.Now().Unix(), Chat: *c, Topic: number(r.Params["message_thread_id"]), Sent: time.Now()}
	m.IsTopic = m.Topic != 0
	if reply, ok := r.Params["reply_parameters"].(map[string]any); ok {
		to := s.message(c.ID, number(reply["message_id"]))
		if to == nil && !flag(reply["allow_sending_without_reply"]) {
			return nil, bad("message to be replied not found")
		}
		if to != nil {
			copied := *to
			copied.ReplyTo = nil
			m.ReplyTo = &copied
		}
	}
	return m, s.markup(m, r.Params["reply_markup"])
}

func (s *Server) markup(m *Message, v any) error {
	m.Markup = nil
	if v == nil {
		return nil
	}
	k, err := decode[Markup](v)
	if err != nil {
		return bad("can't parse reply keyboard markup JSON object")
	}
	if raw, ok := v.(map[string]any); ok && raw["force_reply"] == true {
		m.Asks = true
		return nil
	}
	for _, row := range k.Rows {
		if len(row) > 8 || len(row) == 0 {
			return bad("a row has 1 to 8 buttons")
		}
		for _, b := range row {
			if b.Text == "" || b.Data == "" && b.URL == "" {
				return bad("BUTTON_INVALID")
			}
		}
	}
	if len(k.Rows) > 0 {
		m.Markup = &k
	}
	return nil
}

// checked checks a text with its entities.
func (s *Server) checked(t string, entities any) ([]Entity, error) {
	list, err := decode[[]Entity](entities)
	if err != nil {
		return nil, bad("can't parse entities")
	}
	if err := checkEntities(t, list); err != nil {
		s.reject("%v in %.80q", err, t)
		return nil, bad(err.Error())
	}
	return list, nil
}

// caption puts the caption of a call below m.
func (s *Server) caption(r Request, m *Message) (err error) {
	m.Caption = text(r.Params["caption"])
	m.CaptionEntities, err = s.checked(m.Caption, r.Params["caption_entities"])
	return err
}

func (s *Server) sendMessage(r Request) (any, error) {
	m, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	m.Text = text(r.Params["text"])
	if strings.TrimSpace(m.Text) == "" {
		return nil, bad("message text is empty")
	}
	if m.Entities, err = s.checked(m.Text, r.Params["entities"]); err != nil {
		return nil, err
	}
	s.keep(m)
	return m, nil
}

func (s *Server) sendDraft(r Request) (any, error) {
	c, err := s.target(r)
	if err != nil {
		return nil, err
	}
	if c.Type != "private" || number(r.Params["draft_id"]) == 0 || s.NoDrafts {
		return nil, bad("TEXTDRAFT_PEER_INVALID")
	}
	if _, err := s.checked(text(r.Params["text"]), r.Params["entities"]); err != nil {
		return nil, err
	}
	s.drafts[c.ID] = append(s.drafts[c.ID], text(r.Params["text"]))
	s.Notify()
	return true, nil
}

// upload finds the bytes that a media value names.
func upload(r Request, field, media string) (Upload, bool) {
	if name, ok := strings.CutPrefix(media, "attach://"); ok {
		field = name
	}
	u, ok := r.Files[field]
	return u, ok
}

// photo checks a picture as Telegram does.
func photo(u Upload) ([]File, error) {
	if len(u.Data) > 10<<20 {
		return nil, bad("file is too big for a photo")
	}
	size, _, err := image.DecodeConfig(bytes.NewReader(u.Data))
	if err != nil {
		return nil, bad("IMAGE_PROCESS_FAILED")
	}
	if size.Width+size.Height > 10_000 || size.Width > 20*size.Height || size.Height > 20*size.Width {
		return nil, bad("PHOTO_INVALID_DIMENSIONS")
	}
	return []File{{ID: "photo-" + u.Name, Unique: u.Name, Width: size.Width, Height: size.Height, Size: len(u.Data), Name: u.Name}}, nil
}

func document(u Upload) (*File, error) {
	if len(u.Data) > 50<<20 {
		return nil, failure{code: 413, description: "Request Entity Too Large"}
	}
	return &File{ID: "doc-" + u.Name, Unique: u.Name, Size: len(u.Data), Name: u.Name}, nil
}

func (s *Server) sendPhoto(r Request) (any, error) {
	m, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	u, ok := upload(r, "photo", text(r.Params["photo"]))
	if !ok {
		return nil, bad("there is no photo in the request")
	}
	if m.Photo, err = photo(u); err != nil {
		return nil, err
	}
	m.Spoiler = flag(r.Params["has_spoiler"])
	if err := s.caption(r, m); err != nil {
		return nil, err
	}
	s.keep(m)
	return m, nil
}

func (s *Server) sendDocument(r Request) (any, error) {
	m, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	u, ok := upload(r, "document", text(r.Params["document"]))
	if !ok {
		return nil, bad("there is no document in the request")
	}
	if m.Document, err = document(u); err != nil {
		return nil, err
	}
	if err := s.caption(r, m); err != nil {
		return nil, err
	}
	s.keep(m)
	return m, nil
}

// media is an element of an album, or what an edit puts in.
type media struct {
	Type     string   `json:"type"`
	Media    string   `json:"media"`
	Caption  string   `json:"caption"`
	Entities []Entity `json:"caption_entities"`
	Spoiler  bool     `json:"has_spoiler"`
}

func (s *Server) fill(r Request, m *Message, in media) (err error) {
	u, ok := upload(r, "", in.Media)
	if !ok {
		return bad("wrong file identifier/HTTP URL specified")
	}
	m.Photo, m.Document = nil, nil
	switch in.Type {
	case "photo":
		m.Photo, err = photo(u)
	case "document":
		m.Document, err = document(u)
	default:
		err = bad("unknown media")
	}
	if err != nil {
		return err
	}
	if err := checkEntities(in.Caption, in.Entities); err != nil {
		s.reject("%v", err)
		return bad(err.Error())
	}
	m.Caption, m.CaptionEntities, m.Spoiler, m.Text, m.Entities = in.Caption, in.Entities, in.Spoiler, "", nil
	return nil
}

func (s *Server) sendAlbum(r Request) (any, error) {
	list, err := decode[[]media](r.Params["media"])
	if err != nil || len(list) < 2 || len(list) > 10 {
		return nil, bad("media must have 2 to 10 items")
	}
	s.last++
	var all []*Message
	for _, in := range list {
		m, err := s.begin(r)
		if err != nil {
			return nil, err
		}
		m.Album = "album" + strconv.FormatInt(s.last, 10)
		if err := s.fill(r, m, in); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for _, m := range all {
		s.keep(m)
	}
	return all, nil
}
