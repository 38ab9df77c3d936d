package webchat

import (
	"net/http"
	"slices"

	"potluck/web/guard"
	"potluck/web/reader"
)

// chooseLanguage serves POST /webchat/language {"language"}: from now on the visitor reads the page and the bot's answers in it.
func (p *Page) chooseLanguage(w http.ResponseWriter, r *http.Request, s Session) {
	var body struct {
		Language string `json:"language"`
	}
	if !read(w, r, 8<<10, &body) {
		return
	}
	if !slices.Contains(reader.Languages(), body.Language) {
		guard.Refuse(w, http.StatusBadRequest, "bad_language", "The page does not speak that language.")
		return
	}
	if p.limited(w, p.limits.visitor, string(s.User)) || p.limited(w, p.limits.address, p.config.Address(r)) {
		return
	}
	ctx, cancel := durable(r.Context())
	defer cancel()
	if err := p.config.Language(ctx, s.User, s.Name, body.Language); err != nil {
		p.broken(w, r, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"language": body.Language})
}
