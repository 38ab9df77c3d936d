package engine

import (
	"context"
	"hash/fnv"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

// painting is a generated landscape or abstract. It is a function of the place, so that any size of it shows the same picture.
type painting struct {
	w, h    int
	aspect  float64
	seed    uint64
	scene   int
	colours [5]rgb // from the top of the sky to the darkest foreground
	light   rgb
	sunX    float64
	sunY    float64
	sunSize float64
	stars   [][3]float64 // x, y, brightness
	layers  int
	turn    float64
}

type rgb struct{ r, g, b float64 }

func (c rgb) mix(d rgb, t float64) rgb {
	t = min(max(t, 0), 1)
	return rgb{c.r + (d.r-c.r)*t, c.g + (d.g-c.g)*t, c.b + (d.b-c.b)*t}
}

func (c rgb) add(d rgb, t float64) rgb { return rgb{c.r + d.r*t, c.g + d.g*t, c.b + d.b*t} }

func hex(v uint32) rgb {
	return rgb{float64(v>>16&255) / 255, float64(v>>8&255) / 255, float64(v&255) / 255}
}

const (
	sceneHills = iota
	sceneSea
	sceneAurora
	sceneSilk
	scenes
)

type palette struct {
	colours [5]uint32
	light   uint32
}

var palettes = []palette{
	{[5]uint32{0x1b1f4b, 0x6a3a7c, 0xf0788c, 0x7a3b6b, 0x1c1236}, 0xffd9a0}, // dusk
	{[5]uint32{0x2a6fb0, 0x8fc7e8, 0xfdf0d0, 0x4f8f8b, 0x123a3f}, 0xfff4c8}, // morning
	{[5]uint32{0x070b24, 0x142a5c, 0x2f6f8f, 0x16344f, 0x050a18}, 0xdfeaff}, // night
	{[5]uint32{0x3a1030, 0xb03a2e, 0xf6a24a, 0x7a2a2a, 0x22090f}, 0xffe29a}, // fire
	{[5]uint32{0x0e3b3a, 0x3f8f6b, 0xd7e8a0, 0x2f6b45, 0x0a2418}, 0xf8ffd0}, // forest
	{[5]uint32{0x2b2350, 0x7d6bc4, 0xf3c6e8, 0x6a5aa8, 0x1d1840}, 0xffeefb}, // lilac
}

// hints lets words of the prompt choose scene and colours: a palette's and a scene's number, -1 for no matter.
var hints = []struct {
	words          string
	palette, scene int
}{
	{"sunset dusk evening atardecer abend sonnenuntergang soir", 0, -1},
	{"morning sunrise mañana morgen matin snow winter nieve schnee", 1, -1},
	{"mountain mountains hill hills montaña montañas berg berge montagne", -1, sceneHills},
	{"sea ocean beach wave waves boat mar playa meer strand mer lake water see lago", -1, sceneSea},
	{"night noche nacht nuit moon luna mond star stars", 2, -1},
	{"space galaxy aurora universe cosmos espacio weltraum", 2, sceneAurora},
	{"fire dragon lava hot desert fuego feuer drachen dragón feu", 3, -1},
	{"forest tree trees garden green bosque wald forêt jardín", 4, sceneHills},
	{"flower flowers rose love cat unicorn dream flor blume fleur gato katze", 5, -1},
	{"abstract pattern silk colour color texture art", -1, sceneSilk},
}

func newPainting(prompt string, seed int64, w, h int) *painting {
	hash := fnv.New64a()
	hash.Write([]byte(strings.ToLower(strings.TrimSpace(prompt))))
	r := rand.New(rand.NewPCG(hash.Sum64(), uint64(seed)))
	p := &painting{w: w, h: h, aspect: float64(w) / float64(h), seed: r.Uint64(), scene: r.IntN(scenes)}
	pal := r.IntN(len(palettes))
	words := strings.FieldsFunc(strings.ToLower(prompt), func(c rune) bool { return strings.ContainsRune(" ,.;:!?()\"'-\n\t", c) })
	for _, word := range words {
		for _, hint := range hints {
			if !strings.Contains(" "+hint.words+" ", " "+word+" ") {
				continue
			}
			if hint.palette >= 0 {
				pal = hint.palette
			}
			if hint.scene >= 0 {
				p.scene = hint.scene
			}
		}
	}
	for i, c := range palettes[pal].colours {
		p.colours[i] = hex(c)
	}
	p.light = hex(palettes[pal].light)
	p.sunX, p.sunY, p.sunSize = 0.2+0.6*r.Float64(), 0.22+0.2*r.Float64(), 0.05+0.05*r.Float64()
	p.layers, p.turn = 4+r.IntN(3), r.Float64()*2*math.Pi
	for range 160 {
		p.stars = append(p.stars, [3]float64{r.Float64(), r.Float64() * 0.75, 0.2 + 0.8*r.Float64()*r.Float64()})
	}
	return p
}

// render paints w × h pixels.
func (p *painting) render(ctx context.Context, w, h int) (*image.RGBA, error) {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		v := (float64(y) + 0.5) / float64(h)
		for x := range w {
			u := (float64(x) + 0.5) / float64(w)
			c := p.at(u, v)
			// Darker corners, and a grain of less than one step that keeps gradients from showing bands.
			d := (u-0.5)*(u-0.5) + (v-0.5)*(v-0.5)
			shade, grain := 1-0.45*d, (p.lattice(x, y, 99)-0.5)/110
			i := m.PixOffset(x, y)
			m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = channel(c.r*shade+grain), channel(c.g*shade+grain), channel(c.b*shade+grain), 255
		}
	}
	if p.scene == sceneAurora || p.scene == sceneHills && p.colours[0].r+p.colours[0].g+p.colours[0].b < 0.6 {
		p.scatter(m)
	}
	return m, nil
}

// scatter puts stars where the sky is dark.
func (p *painting) scatter(m *image.RGBA) {
	b := m.Bounds()
	size := max(1, b.Dx()/512)
	for _, s := range p.stars {
		u, v := s[0], s[1]
		if p.scene == sceneHills && v > p.ridge(0, u)-0.03 || v > 0.7 {
			continue
		}
		for dx := range size {
			for dy := range size {
				x, y := int(u*float64(b.Dx()))+dx, int(v*float64(b.Dy()))+dy
				if !(image.Point{x, y}.In(b)) {
					continue
				}
				i := m.PixOffset(x, y)
				for c := range 3 {
					m.Pix[i+c] = channel(float64(m.Pix[i+c])/255 + s[2]*(1-v)*0.8)
				}
			}
		}
	}
}

func channel(v float64) uint8 { return uint8(min(max(v, 0), 1)*255 + 0.5) }

// at is the colour at u, v (0–1 from the left and the top).
func (p *painting) at(u, v float64) rgb {
	switch p.scene {
	case sceneSea:
		return p.sea(u, v)
	case sceneAurora:
		return p.aurora(u, v)
	case sceneSilk:
		return p.silk(u, v)
	}
	return p.hills(u, v)
}

// sky is the gradient with clouds and the sun or moon in it; floor is the height of the horizon.
func (p *painting) sky(u, v, floor float64) rgb {
	t := v / floor
	c := p.colours[0].mix(p.colours[1], t*1.6)
	if t > 0.45 {
		c = c.mix(p.colours[2], (t-0.45)/0.55)
	}
	cloud := p.fbm(u*p.aspect*2.2+7, v*7, 1, 4)
	c = c.mix(p.light, 0.5*smooth(0.52, 0.85, cloud)*(0.25+0.75*t))
	d := math.Hypot((u-p.sunX)*p.aspect, v-p.sunY)
	c = c.add(p.light, 0.42*math.Exp(-d*d/(p.sunSize*p.sunSize*9)))
	return c.mix(p.light.mix(rgb{1, 1, 1}, 0.4), smooth(p.sunSize*1.02, p.sunSize*0.94, d))
}

// ridge is the height of a layer of hills at u.
func (p *painting) ridge(layer int, u float64) float64 {
	k := float64(layer) / float64(p.layers)
	n := p.fbm(u*p.aspect*(1.6+1.6*k)+float64(layer)*11.3, 0.5, uint64(10+layer), 6)
	return 0.5 + 0.42*k - (n-0.4)*(0.5-0.22*k)
}

func (p *painting) hills(u, v float64) rgb {
	c := p.sky(u, v, 0.7)
	for layer := range p.layers {
		k := float64(layer) / float64(p.layers-1)
		edge := p.ridge(layer, u)
		in := smooth(-0.0015, 0.0015, v-edge)
		if in == 0 {
			continue
		}
		body := p.colours[2].mix(p.colours[3], 0.35+k*0.9).mix(p.colours[4], k*k)
		// Mist lies in the valleys, more of it far away.
		mist := smooth(0, 0.24, v-edge) * (1 - k) * 0.55
		body = body.mix(p.colours[2].mix(p.light, 0.35), mist)
		body = body.add(p.light, 0.10*(1-k)*math.Exp(-math.Abs(u-p.sunX)*4)*math.Exp(-(v-edge)*18))
		c = c.mix(body, in)
	}
	return c
}

func (p *painting) sea(u, v float64) rgb {
	const horizon = 0.56
	far := 0.5 + (p.fbm(u*p.aspect*2.4, 0.2, 31, 5)-0.42)*-0.22
	if v < horizon {
		c := p.sky(u, v, horizon)
		land := p.colours[2].mix(p.colours[3], 0.8)
		return c.mix(land, smooth(-0.002, 0.002, v-far)*0.9)
	}
	depth := (v - horizon) / (1 - horizon)
	// Waves come closer together toward the horizon; each bends what it mirrors.
	z := 1 / (depth + 0.06)
	wave := p.fbm(u*p.aspect*z*0.9+3, z*7, 41, 4) - 0.47
	mirrored := p.sky(u+wave*0.07*depth, max(0.02, horizon-depth*0.52+wave*0.10), horizon)
	c := mirrored.mix(p.colours[3], 0.30+0.25*depth).mix(p.colours[4], 0.55*depth*depth)
	path := math.Exp(-math.Pow((u-p.sunX)*p.aspect/(0.05+0.22*depth), 2))
	return c.add(p.light, path*smooth(0.02, 0.22, wave+0.05)*0.75)
}

func (p *painting) aurora(u, v float64) rgb {
	c := p.colours[0].mix(p.colours[1], v*1.1)
	x := u * p.aspect
	c = c.add(p.colours[2], 0.30*smooth(0.45, 0.9, p.fbm(x*2, v*2.4, 51, 5)))
	for band := range 3 {
		b := float64(band)
		base := 0.34 + 0.12*b + 0.34*(p.fbm(x*1.3+b*5, 0.3, uint64(60+band), 4)-0.5)
		height := base - v
		rays := 0.45 + 0.9*p.fbm(x*9+b*3, v*0.6, uint64(70+band), 3)
		glow := rays * smooth(-0.02, 0.01, height) * math.Exp(-max(0, height)*(5.5+b))
		hue := p.colours[2].mix(rgb{0.35, 1, 0.65}, 0.6-0.25*b).mix(p.colours[1], 0.25*b)
		c = c.add(hue, 0.62*glow)
	}
	for layer := p.layers - 2; layer < p.layers; layer++ {
		edge := p.ridge(layer, u) + 0.02
		c = c.mix(p.colours[4].mix(p.colours[1], 0.25*float64(p.layers-1-layer)), smooth(-0.0015, 0.0015, v-edge))
	}
	return c
}

func (p *painting) silk(u, v float64) rgb {
	x, y := (u-0.5)*p.aspect*2.1, (v-0.5)*2.1
	x, y = x*math.Cos(p.turn)-y*math.Sin(p.turn), x*math.Sin(p.turn)+y*math.Cos(p.turn)
	ax, ay := p.fbm(x, y, 81, 4), p.fbm(x+5.2, y+1.3, 82, 4)
	bx, by := p.fbm(x+3*ax+1.7, y+3*ay+9.2, 83, 4), p.fbm(x+3*ax+8.3, y+3*ay+2.8, 84, 4)
	n := p.fbm(x+2.6*bx, y+2.6*by, 85, 4)
	c := p.colours[4].mix(p.colours[0], smooth(0.15, 0.45, n)).mix(p.colours[1], smooth(0.35, 0.6, ax)).mix(p.colours[2], smooth(0.42, 0.72, n))
	fold := math.Sin((bx + n) * 26)
	return c.add(p.light, 0.10*fold*fold*fold).mix(p.light, 0.55*smooth(0.58, 0.8, by)*smooth(0.4, 0.7, n))
}

// fbm is noise of several octaves, about 0–1 with most of it near 0.5.
func (p *painting) fbm(x, y float64, salt uint64, octaves int) float64 {
	sum, weight, total := 0.0, 0.5, 0.0
	for range octaves {
		sum += weight * p.noise(x, y, salt)
		total += weight
		x, y, weight, salt = x*2.03+13.7, y*2.03+7.1, weight*0.5, salt+1
	}
	return sum / total
}

func (p *painting) noise(x, y float64, salt uint64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	ix, iy := int(fx), int(fy)
	tx, ty := x-fx, y-fy
	tx, ty = tx*tx*(3-2*tx), ty*ty*(3-2*ty)
	top := p.lattice(ix, iy, salt)*(1-tx) + p.lattice(ix+1, iy, salt)*tx
	low := p.lattice(ix, iy+1, salt)*(1-tx) + p.lattice(ix+1, iy+1, salt)*tx
	return top*(1-ty) + low*ty
}

// lattice is a random number of 0–1 that belongs to a place.
func (p *painting) lattice(x, y int, salt uint64) float64 {
	h := p.seed ^ uint64(x)*0x9e3779b97f4a7c15 ^ uint64(y)*0xc2b2ae3d27d4eb4f ^ salt*0x165667b19e3779f9
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 32
	return float64(h>>11) / (1 << 53)
}

func smooth(from, to, v float64) float64 {
	t := min(max((v-from)/(to-from), 0), 1)
	return t * t * (3 - 2*t)
}

// label writes on the picture what it is; it grows with the picture so that it stays readable in a chat.
func label(m *image.RGBA) {
	text := "demo - not an AI model"
	face := basicfont.Face7x13
	scale := max(1, m.Bounds().Dx()/420)
	width := font.MeasureString(face, text).Ceil()
	if width+8 > m.Bounds().Dx() {
		text = "demo"
		width = font.MeasureString(face, text).Ceil()
	}
	mask := image.NewAlpha(image.Rect(0, 0, width, face.Height))
	d := font.Drawer{Dst: mask, Src: image.Opaque, Face: face, Dot: fixed.P(0, face.Ascent)}
	d.DrawString(text)
	w, h := (width+12)*scale, (face.Height+6)*scale
	corner := image.Pt(0, m.Bounds().Dy()-h)
	draw.Draw(m, image.Rect(0, 0, w, h).Add(corner), image.NewUniform(color.RGBA{0, 0, 0, 150}), image.Point{}, draw.Over)
	for y := range face.Height * scale {
		for x := range width * scale {
			if mask.AlphaAt(x/scale, y/scale).A > 127 {
				m.SetRGBA(corner.X+6*scale+x, corner.Y+3*scale+y, color.RGBA{255, 255, 255, 255})
			}
		}
	}
}
