package discord_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"testing"

	"potluck/bot"
)

// picture is noise, which no format makes small: size × size pixels.
func picture(t testing.TB, size int) bot.Picture {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range size {
		for x := range size {
			img.Set(x, y, color.RGBA{uint8(r.Uint32()), uint8(r.Uint32()), uint8(r.Uint32()), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return bot.Picture{Name: "abc123.png", Data: b.Bytes(), Alt: "noise", Width: size, Height: size}
}
