package telegram

import "crypto/rand"

// randomSecret has 130 random bits, in letters that a webhook's header may hold.
func randomSecret() string { return rand.Text() }
