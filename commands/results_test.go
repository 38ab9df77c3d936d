package commands_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

// painter is a pool whose one worker draws at once what it is asked for, translates and answers a1, a2, …; it keeps the real features busy.
type painter struct {
	pool
	folder string
	model  string
	lacks  string        // a model that nobody has
	words  string        // what the translation of every segment is; "" = nobody translates
	fails  error         // what every job ends with
	begun  chan struct{} // closed when the first picture is begun, which then waits for its end; nil = none waits
	asked  []string      // the keys of all jobs
}

func (p *painter) Do(ctx context.Context, j workers.Job, progress func(workers.Event)) (workers.Result, error) {
	p.mu.Lock()
	p.asked = append(p.asked, j.Key)
	p.mu.Unlock()
	if p.fails != nil {
		return workers.Result{}, fmt.Errorf("do: %w", p.fails)
	}
	if begun := p.begun; j.Kind == protocol.Image && begun != nil {
		p.begun = nil
		close(begun)
		<-ctx.Done()
		return workers.Result{}, context.Cause(ctx)
	}
	switch {
	case j.Kind == protocol.Translate && p.words == "":
		return workers.Result{}, fault.New(fault.NoPair, "from", j.Translate.From, "to", j.Translate.To, "targets", "", "pairs", "")
	case p.lacks != "" && j.Model == p.lacks:
		return workers.Result{}, fault.New(fault.NoModel, "model", j.Model, "models", p.model)
	}
	p.mu.Lock()
	p.jobs = append(p.jobs, j)
	r := result(int64(len(p.jobs)))
	p.mu.Unlock()
	r.Model, r.Engine = p.model, "comfyui"
	switch j.Kind {
	case protocol.Chat:
		r.Text = fmt.Sprintf("a%d", r.Job)
	case protocol.Translate:
		for range j.Translate.Segments {
			r.Segments = append(r.Segments, []protocol.Piece{{Text: p.words}})
		}
	case protocol.Image:
		for k := range j.Image.Count {
			path := filepath.Join(p.folder, fmt.Sprintf("%d-%d", r.Job, k))
			if err := os.WriteFile(path, painted(j.Image.Width, j.Image.Height, j.Image.Seed+int64(k)), 0o600); err != nil {
				return r, err
			}
			r.Blobs = append(r.Blobs, path)
		}
	}
	if j.Check != nil {
		if err := j.Check(r); err != nil {
			return workers.Result{}, fault.Wrap(err, fault.BadResult, "kind", j.Kind)
		}
	}
	return r, nil
}

func painted(width, height int, seed int64) []byte {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height / 8 {
			m.Set(x, y, color.RGBA{uint8(x), uint8(seed), uint8(y), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// keeping is a platform that keeps pictures in an album, as the page does.
func keeping(t *testing.T, p *bottest.Platform, a *imagegen.Album) {
	p.Set(bottest.Hooks{After: func(_ context.Context, _ string, m bot.Outgoing) error {
		for _, pic := range m.Pictures {
			if err := a.Keep(pic.Name, pic.Data); err != nil {
				t.Error(err)
			}
		}
		return nil
	}})
}

// studio is a chat where pictures are drawn by the real feature on a database that can be closed and opened again.
type studio struct {
	*stand
	path  string
	db    *storage.DB
	pool  *painter
	album *imagegen.Album
	log   *bytes.Buffer
}

func openStudio(t *testing.T) *studio {
	t.Helper()
	st := &studio{path: filepath.Join(t.TempDir(), "potluck.db"), pool: &painter{folder: t.TempDir(), model: "sdxl"}, log: new(bytes.Buffer)}
	var err error
	if st.album, err = imagegen.NewAlbum(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	p := bottest.New("test")
	keeping(t, p, st.album)
	st.start(t, p, &services{bills: make(map[int64]commands.Bill)})
	st.overview = gallery("sdxl")
	return st
}

func (st *studio) start(t *testing.T, p *bottest.Platform, s *services) {
	st.db = storagetest.OpenPath(t, st.path)
	st.stand = openOn(t, st.db, p, s, func(h *commands.House) {
		h.Draw = imagegen.New(imagegen.Config{Jobs: st.pool})
		h.Translate = translate.New(translate.Config{Jobs: st.pool})
		h.Ask = ask.New(ask.Config{Jobs: st.pool, Store: &storage.Turns{DB: st.db}})
		h.Album, h.Log = st.album, slog.New(slog.NewTextHandler(st.log, nil))
	})
}

// restart ends the process and begins another on the same file.
func (st *studio) restart(t *testing.T) {
	t.Helper()
	st.stop()
	<-st.ended
	if err := st.db.Close(); err != nil {
		t.Fatal(err)
	}
	st.start(t, st.platform, st.services)
}

// gallery is a pool with one machine that draws, with a GPU that has a name.
func gallery(model string, features ...string) workers.Overview {
	return workers.Overview{
		Workers: []workers.WorkerView{{
			Worker: workers.Worker{ID: 1, Hardware: protocol.Hardware{GPUs: []protocol.GPU{{Name: "NVIDIA GeForce RTX 3060"}}}}, State: workers.Online,
			Offers: []workers.OfferView{{Offer: protocol.Offer{Kind: protocol.Image, Engine: "comfyui"}, Canonical: model}},
		}},
		Models: []workers.ModelView{{Kind: protocol.Image, Model: model, Quality: protocol.Postable, Features: features}},
	}
}

func labels(m bottest.Message) string {
	var all []string
	for _, b := range m.Buttons {
		all = append(all, b.Label)
	}
	return strings.Join(all, ", ")
}

func (s *stand) pressAs(m bottest.Message, user, label string, role community.Role) {
	s.t.Helper()
	if err := s.platform.Press(s.ctx, m, user, label, role); err != nil {
		s.t.Fatal(err)
	}
}

// changed waits until message m says want.
func (s *stand) changed(m bottest.Message, want string) bottest.Message {
	s.t.Helper()
	var now bottest.Message
	_, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool {
		for _, one := range all {
			if one.ID == m.ID && one.Final && strings.Contains(one.Text.Plain, want) {
				now = one
				return true
			}
		}
		return false
	})
	if err != nil {
		s.t.Fatalf("waiting for %q: %v: %+v", want, err, s.platform.Messages(""))
	}
	return now
}

// The row of a picture works after a restart, and so does that of a picture that one of its buttons made.
func TestRowOfAPictureWorksAfterRestartsAndOnResultsOfButtons(t *testing.T) {
	st := openStudio(t)
	first := st.say("/imagine a lighthouse in a storm —ar 16:9 --style anime --count 2 model:sdxl")
	if got := labels(first); got != "Re-roll, Vary 1, Vary 2, Info, Edit, Delete" {
		t.Errorf("row %s", got)
	}
	st.restart(t)
	again := st.press(first, "Re-roll")
	st.restart(t)
	varied := st.press(again, "Vary 2")
	st.restart(t)
	varied = st.press(varied, "Vary")
	st.restart(t)
	info := st.press(varied, "Info")

	j := st.pool.jobs
	if len(j) != 4 {
		t.Fatalf("%d jobs", len(j))
	}
	if j[1].Image.Prompt != j[0].Image.Prompt || j[1].Image.Seed == j[0].Image.Seed || j[1].Image.Count != 2 || j[1].Image.Width != 1344 {
		t.Errorf("Re-roll drew %+v after %+v", j[1].Image, j[0].Image)
	}
	base := strings.TrimPrefix(j[1].Image.Prompt, "anime illustration of a lighthouse in a storm")
	for _, v := range j[2:] {
		if v.Image.Seed != j[1].Image.Seed+1 || v.Image.Count != 1 || v.Model != "sdxl" || v.Image.Width != 1344 || v.Image.Height != 768 ||
			!strings.HasSuffix(v.Image.Prompt, base) || v.Image.Prompt == j[1].Image.Prompt {
			t.Errorf("Vary drew %+v of %+v", v.Image, j[1].Image)
		}
	}
	if got := varied.Text.Plain; !strings.Contains(got, "A variation: the same seed, with “") || labels(varied) != "Re-roll, Vary, Info, Edit, Delete" {
		t.Errorf("%s [%s]", got, labels(varied))
	}
	if info.Only != st.platform.User("rita") || !strings.Contains(info.Text.Plain, j[3].Image.Prompt) {
		t.Errorf("info for %q: %s", info.Only, info.Text.Plain)
	}
	for _, b := range varied.Buttons {
		open := b.Label == "Info" || b.Label == "Edit"
		if want := st.platform.User("rita"); !open && b.Only != want || open && b.Only != "" {
			t.Errorf("%s is for %q", b.Label, b.Only)
		}
	}
}

// 29 days later the row still works; later it says what to type. The rows are as old as their actions say.
func TestOldButtonSaysWhatToType(t *testing.T) {
	st := openStudio(t)
	m := st.say("/imagine a lighthouse")
	requests := &storage.Requests{DB: st.db}
	age := func(by time.Duration) {
		for _, b := range m.Buttons {
			a, ok, err := requests.Action(st.ctx, b.ID)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			a.Expires = a.Expires.Add(-by)
			if err := requests.SaveActions(st.ctx, []bot.Action{a}); err != nil {
				t.Fatal(err)
			}
		}
	}
	age(29 * 24 * time.Hour)
	if got := st.press(m, "Info").Text.Plain; !strings.HasPrefix(got, "Asked for\na lighthouse") {
		t.Errorf("29 days later: %s", got)
	}
	age(2 * 24 * time.Hour)
	for _, label := range []string{"Info", "Re-roll", "Vary"} {
		if got := st.press(m, label).Text.Plain; got != "This button is too old to work. Type /imagine and you get new ones." {
			t.Errorf("%s after 31 days: %s", label, got)
		}
	}
}

// A button that an older version of this program saved carries the bare options.
func TestReRollOfAnOlderVersion(t *testing.T) {
	st := openStudio(t)
	m := st.say("/imagine a fox")
	requests := &storage.Requests{DB: st.db}
	a, _, err := requests.Action(st.ctx, m.Buttons[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if a.Data, err = json.Marshal(map[string]string{"prompt": "a hen --ar 2:3", "seed": "5"}); err != nil {
		t.Fatal(err)
	}
	if err := requests.SaveActions(st.ctx, []bot.Action{a}); err != nil {
		t.Fatal(err)
	}
	st.press(m, "Re-roll")
	if i := st.pool.jobs[1].Image; i.Prompt != "a hen" || i.Seed == 5 || i.Height <= i.Width {
		t.Errorf("drew %+v", i)
	}
}

// The model of an older day is gone: what is pressed is drawn by another, and it is said.
func TestPressedPictureOfAModelThatIsGone(t *testing.T) {
	st := openStudio(t)
	m := st.say("/imagine a fox model:sdxl")
	st.pool.lacks, st.pool.model = "sdxl", "sd-1.5"
	if got := st.press(m, "Re-roll").Text.Plain; !strings.Contains(got, "\nNobody online has sdxl now, so sd-1.5 drew this.\n") {
		t.Errorf("%s", got)
	}
	if got := st.say("/imagine a fox model:sdxl").Text.Plain; !strings.HasPrefix(got, "No machine that is online has sdxl. You can have sd-1.5.") {
		t.Errorf("typed: %s", got)
	}
}

func TestVaryStartsFromThePictureWhereAMachineCan(t *testing.T) {
	st := openStudio(t)
	m := st.say("/imagine a fox")
	st.overview = gallery("sdxl", protocol.FeatureInit)
	varied := st.press(m, "Vary")
	j := st.pool.jobs[1]
	if !bytes.Equal(j.Input[0], m.Pictures[0].Data) || j.Image.Init != 1 || j.Image.Prompt != "a fox" || j.Image.Seed == st.pool.jobs[0].Image.Seed {
		t.Errorf("%d inputs, %+v", len(j.Input), j.Image)
	}
	if !strings.Contains(varied.Text.Plain, "A variation that starts from the picture you chose.") {
		t.Error(varied.Text.Plain)
	}
	if err := st.album.Remove(m.Pictures[0].Name); err != nil { // 30 days are over
		t.Fatal(err)
	}
	if st.press(m, "Vary"); len(st.pool.jobs[2].Input) != 0 {
		t.Error("started from a picture that is gone")
	}
}

func TestInfoTellsEverything(t *testing.T) {
	st := openStudio(t)
	st.foreign = nil
	st.workers = []workers.Worker{{ID: 1, Name: "RTX 3060", OwnerName: "Rita", Share: true}}
	price := ledger.Bill{Price: ledger.Price{Amount: 15500, Model: "sdxl"}}
	m := st.sayIn("en", "/imagine a lighthouse in a storm --style photo --no people --count 2 --seed 7")
	st.bills[1] = commands.Bill{Job: 1, Kind: protocol.Image, State: workers.Done, Asker: st.member("rita").ID, Bill: price}
	out := ""
	for _, l := range commands.Languages() {
		if err := st.platform.Emit(st.ctx, bot.Event{
			Kind: bot.ActionPressed, Chat: st.platform.Chat("lobby"), User: st.platform.User("rita"), Name: "Rita", Locale: l, Message: m.ID, Action: m.Buttons[3].ID,
		}); err != nil {
			t.Fatal(err)
		}
		out += "--- " + l + "\n" + shown(st.final())
	}
	st.overview, st.workers[0].Share = workers.Overview{}, false // an owner who no longer wants to be named is not, below earlier pictures either
	st.pressAs(m, "ken", "Info", community.Everyone)
	golden(t, "picture_info", out+"--- somebody else, and the machine is gone\n"+shown(st.final()))
}

// Edit hands out a command that draws the same picture, whoever presses, until something in it is changed.
func TestEditHandsOutTheCommand(t *testing.T) {
	st := openStudio(t)
	for _, typed := range []string{"/imagine a lighthouse in a storm --style photo --no people --seed 7 --ar 16:9", "/imagine a fox,\na hen count:2", "/imagine 雪の中の赤い狐 model:sdxl"} {
		m := st.say(typed)
		st.pressAs(m, "ken", "Edit", community.Everyone)
		edit := st.final()
		if len(edit.Text.Spans) == 0 || edit.Only != st.platform.User("ken") {
			t.Fatalf("only for %q: %+v", edit.Only, edit.Text)
		}
		last := edit.Text.Spans[len(edit.Text.Spans)-1]
		command := edit.Text.Plain[last.Start:last.End]
		if last.Kind != bot.Pre || strings.Contains(command, "\n") {
			t.Fatalf("handed out %q", command)
		}
		drawn := *st.pool.jobs[len(st.pool.jobs)-1].Image
		st.say(command)
		if again := *st.pool.jobs[len(st.pool.jobs)-1].Image; again.Prompt != drawn.Prompt || again.Negative != drawn.Negative || again.Seed != drawn.Seed || again.Count != drawn.Count || again.Width != drawn.Width || again.Height != drawn.Height || again.Steps != drawn.Steps {
			t.Errorf("%q drew %+v, %q drew %+v", typed, drawn, command, again)
		}
	}
}

// What was typed stands in Info as it was typed, where flags or commands of an image program were taken out of it before it was drawn.
func TestInfoShowsWhatWasTyped(t *testing.T) {
	st := openStudio(t)
	const typed = "a fox (in the snow:1.3) <lora:evil:2>"
	m := st.say("/imagine " + typed)
	if drawn := st.pool.jobs[0].Image.Prompt; strings.Contains(drawn, "<lora") {
		t.Errorf("drew %q", drawn)
	}
	for range 2 {
		if info := st.press(m, "Info").Text.Plain; !strings.HasPrefix(info, "Asked for\n"+typed+"\n") {
			t.Errorf("%s", info)
		}
		st.restart(t)
		m = st.press(m, "Re-roll") // what is drawn again was typed once
	}
}

func TestLongPromptStandsWholeInInfo(t *testing.T) {
	st := openStudio(t)
	long := strings.TrimSpace(strings.Repeat("foxes and hens in the snow, ", 214))[:5990] + " at night!"
	m := st.say("/imagine " + long)
	if first, _, _ := strings.Cut(m.Text.Plain, "\n"); len(first) > 210 {
		t.Errorf("shown %d characters", len(first))
	}
	if st.pool.jobs[0].Image.Prompt != strings.Join(strings.Fields(long), " ") {
		t.Error("the prompt was changed")
	}
	if info := st.press(m, "Info"); !strings.Contains(info.Text.Plain, "at night!") {
		t.Errorf("info is cut: %d characters", len(info.Text.Plain))
	}
	if got := st.say("/imagine " + long + "!").Text.Plain; !strings.Contains(got, "6,001 characters, and 6,000 fit") {
		t.Errorf("%s", got)
	}
}

func TestShapesAreUnderstoodOrExplained(t *testing.T) {
	st := openStudio(t)
	for _, c := range []struct{ typed, want string }{
		{"/imagine a fox —ar 16:9", "1024 × 576"}, {"/imagine a fox --ar 16:9", "1024 × 576"}, {"/imagine a fox – ar 16:9", "768 × 768"}, {"/imagine a fox ―ar=16:9", "1024 × 576"},
		{"/imagine a fox aspect:16:9", "1024 × 576"}, {"/imagine —aspect 2:3 a fox", "512 × 768"}, {"/imagine a fox --ar 513x513", "513x513 is not possible, so I took the nearest: 512x512."},
		{"/imagine a fox --ar 0:1", "The value “0:1” does not fit aspect. Possible: 1:1, 3:2"}, {"/imagine a fox --ar", "The value “?” does not fit aspect."},
		{"/imagine a fox --style anime", "job"}, {"/imagine a fox —style cubism", "does not fit style. Possible: none"}, {"/imagine a fox --seed -1", "does not fit seed"},
	} {
		if got := st.say(c.typed).Text.Plain; !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.typed, got)
		}
	}
}

// Delete takes the picture out of the chat and out of the album; only the asker and moderators may, and nobody else's copy goes with it.
func TestDeleteTakesAPictureAway(t *testing.T) {
	st := openStudio(t)
	m := st.say("/imagine a fox --seed 7")
	st.emit(bot.Event{Text: bot.Plain("/imagine a fox --seed 7"), User: st.platform.User("ken"), Name: "Ken"})
	kens := st.final()
	st.pressAs(m, "ken", "Delete", community.Everyone)
	if got := st.final().Text.Plain; !strings.HasPrefix(got, "That belongs to somebody else.") {
		t.Errorf("Ken: %s", got)
	}
	// It is asked first, in the row itself; Keep brings the row back, and a kill between the presses changes nothing.
	st.pressAs(m, "rita", "Delete", community.Everyone)
	sure := st.changed(m, "Delete this picture for good?")
	if len(sure.Pictures) != 1 || labels(sure) != "Delete, Keep" {
		t.Errorf("asked: %s", shown(sure))
	}
	st.pressAs(sure, "rita", "Keep", community.Everyone)
	if _, err := st.platform.Wait(st.ctx, "", func(all []bottest.Message) bool {
		i := slices.IndexFunc(all, func(one bottest.Message) bool { return one.ID == m.ID })
		m = all[i]
		return m.Final && labels(m) == "Re-roll, Vary, Info, Edit, Delete"
	}); err != nil || strings.Contains(m.Text.Plain, "for good") {
		t.Errorf("kept: %s", shown(m))
	}
	st.pressAs(m, "rita", "Delete", community.Everyone)
	sure = st.changed(m, "for good?")
	st.restart(t)
	st.pressAs(sure, "ken", "Delete", community.Everyone)
	if got := st.final().Text.Plain; !strings.HasPrefix(got, "That belongs to somebody else.") {
		t.Errorf("Ken: %s", got)
	}
	st.pressAs(sure, "rita", "Delete", community.Everyone)
	gone := st.changed(m, "Removed by rita.")
	if len(gone.Pictures)+len(gone.Buttons) != 0 || gone.ReplyTo != m.ReplyTo {
		t.Errorf("left: %+v", gone)
	}
	if _, err := st.album.Open(m.Pictures[0].Name); err == nil {
		t.Error("the picture is still in the album")
	}
	if f, err := st.album.Open(kens.Pictures[0].Name); err != nil {
		t.Errorf("Ken's picture went with it: %v", err)
	} else {
		f.Close()
	}
	st.pressAs(kens, "eve", "Delete", community.Admin)
	st.pressAs(st.changed(kens, "for good?"), "eve", "Delete", community.Admin)
	st.changed(kens, "Removed by eve.")
	st.pressAs(m, "rita", "Info", community.Everyone)
	if got := st.final().Text.Plain; !strings.HasPrefix(got, "That is no longer there.") {
		t.Errorf("a button of what was removed: %s", got)
	}
}

// Where a press can be answered privately, only who pressed is asked; the others see the picture until it is deleted, and then by whom. A kill between the
// presses changes nothing.
func TestDeleteOfAPictureAsksAside(t *testing.T) {
	st := openStudio(t)
	hooks := bottest.Hooks{Whisper: func() bool { return true }}
	m := st.say("/imagine a fox --seed 7")
	st.platform.Set(hooks)
	st.pressAs(m, "ken", "Delete", community.Everyone)
	if got := st.final(); !strings.HasPrefix(got.Text.Plain, "That belongs to somebody else.") {
		t.Errorf("Ken: %s", got.Text.Plain)
	}
	ask := func(user string, role community.Role) bottest.Message {
		st.pressAs(m, user, "Delete", role)
		q := st.final()
		if q.Only != st.platform.User(user) || q.Text.Plain != "Delete this picture for good?" || labels(q) != "Delete, Keep" || len(q.Pictures) != 0 {
			t.Errorf("%s is asked: %+v", user, q)
		}
		if all := st.platform.Messages(""); all[0].ID != m.ID || shown(all[0]) != shown(m) {
			t.Errorf("the picture changed: %+v", all[0])
		}
		return q
	}
	q := ask("rita", community.Everyone)
	st.pressAs(q, "rita", "Keep", community.Everyone)
	if kept := st.changed(q, "The picture stays."); len(kept.Buttons) != 0 {
		t.Errorf("kept: %+v", kept)
	}
	q = ask("eve", community.Admin)
	st.restart(t)
	st.platform.Set(hooks)
	st.pressAs(q, "eve", "Delete", community.Everyone)
	if got := st.final(); !strings.HasPrefix(got.Text.Plain, "That belongs to somebody else.") {
		t.Errorf("Eve, who is no admin any more: %s", got.Text.Plain)
	}
	st.pressAs(q, "eve", "Delete", community.Admin)
	if told := st.changed(q, "Removed by eve."); len(told.Buttons) != 0 || told.Only == "" {
		t.Errorf("told: %+v", told)
	}
	gone := st.changed(m, "Removed by eve.")
	if len(gone.Pictures)+len(gone.Buttons) != 0 || gone.ReplyTo != m.ReplyTo || gone.Only != "" {
		t.Errorf("left: %+v", gone)
	}
	if _, err := st.album.Open(m.Pictures[0].Name); err == nil {
		t.Error("the picture is still in the album")
	}
	st.pressAs(m, "rita", "Info", community.Everyone)
	if got := st.final().Text.Plain; !strings.HasPrefix(got, "That is no longer there.") {
		t.Errorf("a button of what was removed: %s", got)
	}
}

// "Removed" is said only when nobody sees the picture any more. A message that cannot be edited is deleted; where the bot may do neither, who pressed hears
// what to do, and the picture stays as it was: in the chat, with its buttons, and in the album.
func TestRemovedIsSaidOnlyOfWhatIsGone(t *testing.T) {
	gone, lacking := error(fault.New(fault.Gone)), error(fault.New(fault.Forbidden, "role", ""))
	for name, c := range map[string]struct {
		edit, delete error
		told         string
		stays        bool
	}{
		"it stands, but cannot be edited": {gone, nil, "Removed by rita.", false},
		"nor deleted":                     {gone, lacking, "I could not take the picture away: I can neither change nor delete that message. Press “Delete”", true},
		"the bot lacks every right":       {lacking, lacking, "I could not take the picture away", true},
		"the platform does not answer":    {errors.New("502"), nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			st := openStudio(t)
			m := st.say("/imagine a fox --seed 7")
			st.platform.Set(bottest.Hooks{
				Whisper: func() bool { return true },
				Before: func(_ context.Context, what string, o bot.Outgoing) error {
					switch {
					case what == "edit" && o.Only == "" && strings.HasPrefix(o.Text.Plain, "Removed by"):
						return c.edit
					case what == "delete":
						return c.delete
					}
					return nil
				},
			})
			st.pressAs(m, "rita", "Delete", community.Everyone)
			q := st.final()
			st.pressAs(q, "rita", "Delete", community.Everyone)
			if c.told == "" {
				if told := st.final(); !strings.HasPrefix(told.Text.Plain, "Something went wrong") || told.Only == "" {
					t.Errorf("told: %s", shown(told))
				}
			} else if told := st.changed(q, c.told); len(told.Buttons) != 0 || told.Only == "" {
				t.Errorf("told: %s", shown(told))
			}
			i := slices.IndexFunc(st.platform.Messages(""), func(one bottest.Message) bool { return one.ID == m.ID })
			f, err := st.album.Open(m.Pictures[0].Name)
			if err == nil {
				f.Close()
			}
			if (i >= 0) != c.stays || (err == nil) != c.stays {
				t.Fatalf("it stands at %d of what all see, and the album says %v", i, err)
			}
			if c.stays {
				st.pressAs(m, "rita", "Delete", community.Everyone)
				if again := st.final(); again.Text.Plain != "Delete this picture for good?" {
					t.Errorf("once more: %s", shown(again))
				}
			}
		})
	}
}

// Nobody has looked at a stranger's picture: it comes covered, with Report. What was reported is hidden until an admin decides.
func TestReportHidesACoveredPicture(t *testing.T) {
	st := openStudio(t)
	if m := st.say("/imagine a hen"); strings.Contains(labels(m), "Report") {
		t.Error("an uncovered picture can be reported")
	}
	st.pool.model = "sdxl"
	st.stop()
	<-st.ended
	if err := st.db.Close(); err != nil {
		t.Fatal(err)
	}
	st.db = storagetest.OpenPath(t, st.path)
	st.stand = openOn(t, st.db, st.platform, st.services, func(h *commands.House) {
		h.Draw, h.Translate, h.Album = imagegen.New(imagegen.Config{Jobs: st.pool}), translate.New(translate.Config{Jobs: st.pool}), st.album
		h.Log, h.Trusted = slog.New(slog.NewTextHandler(st.log, nil)), nil
	})
	m := st.say("/imagine a fox")
	if !m.Pictures[0].Spoiler || labels(m) != "Re-roll, Vary, Info, Edit, Delete, Report" {
		t.Fatalf("%s", shown(m))
	}
	st.pressAs(m, "ken", "Report", community.Everyone)
	hidden := st.changed(m, "This picture was reported.")
	if len(hidden.Pictures) != 0 || labels(hidden) != "Show again, Delete" || strings.Contains(hidden.Text.Plain, "ken") {
		t.Errorf("%s", shown(hidden))
	}
	if log := st.log.String(); !strings.Contains(log, m.Pictures[0].Name) || !strings.Contains(log, "worker=1") || strings.Contains(log, "fox") {
		t.Errorf("log %s", log)
	}
	st.pressAs(hidden, "rita", "Show again", community.Everyone)
	if got := st.final().Text.Plain; !strings.HasPrefix(got, "Only an admin of this place") {
		t.Errorf("the asker uncovers a reported picture: %s", got)
	}
	st.pressAs(hidden, "eve", "Show again", community.Admin)
	back := st.changed(m, "a fox")
	if want := strings.ReplaceAll(shown(m), "[Report ]\n", ""); shown(back) != want || !bytes.Equal(back.Pictures[0].Data, m.Pictures[0].Data) {
		t.Errorf("it came back as %s", shown(back))
	}
	for _, b := range back.Buttons {
		if b.Only != st.platform.User("rita") {
			t.Errorf("%s would stay when the asker is forgotten: for %q", b.Label, b.Only)
		}
	}
	st.pressAs(back, "rita", "Delete", community.Everyone)
	st.pressAs(st.changed(m, "for good?"), "rita", "Delete", community.Everyone)
	st.changed(m, "Removed by rita.")
}

// A wish in another language goes to the model in English; the person sees their own words, Info both, and a second picture needs no second
// translation.
func TestWishIsPutIntoEnglish(t *testing.T) {
	st := openStudio(t)
	st.pool.words = "a red fox in the snow --seed 666"
	m := st.sayIn("ja", "/imagine 雪の中の赤い狐 --ar 16:9")
	j := st.pool.jobs
	if len(j) != 2 || j[0].Kind != protocol.Translate || j[0].Translate.From != "ja" || j[0].Translate.Segments[0][0].Text != "雪の中の赤い狐" {
		t.Fatalf("%+v", j)
	}
	if got := j[1].Image; got.Prompt != "a red fox in the snow -seed 666" || got.Seed == 666 || got.Width != 1024 {
		t.Errorf("drew %+v", got)
	}
	request, _, _ := strings.Cut(j[1].Key, ":")
	if j[0].Key != request+":translate:en" || j[1].Key != request+":draw" {
		t.Errorf("keys %q, %q", j[0].Key, j[1].Key)
	}
	if !strings.HasPrefix(m.Text.Plain, "雪の中の赤い狐\n日本語の文を英語に訳して描きました。") {
		t.Error(m.Text.Plain)
	}
	st.restart(t)
	again := st.press(m, "描き直す")
	if len(st.pool.jobs) != 3 || st.pool.jobs[2].Image.Prompt != j[1].Image.Prompt {
		t.Errorf("%d jobs", len(st.pool.jobs))
	}
	info := st.press(again, "Info")
	if got := info.Text.Plain; strings.Contains(got, "Sent to the model") || !strings.Contains(got, "雪の中の赤い狐") || !strings.Contains(got, "In English\na red fox in the snow -seed 666") {
		t.Error(got)
	}
}

// Nobody translates: it is drawn as it was written, and that is said. A model that reads the language needs no translation, and the gate sees
// what was written before anybody else does.
func TestWishThatNobodyTranslatesIsDrawnAsItIs(t *testing.T) {
	st := openStudio(t)
	m := st.say("/imagine ein roter Fuchs im Schnee --no Leute")
	if i := st.pool.jobs[0].Image; i.Prompt != "ein roter Fuchs im Schnee" || !strings.HasPrefix(i.Negative, "Leute") {
		t.Errorf("drew %+v", i)
	}
	if got := m.Text.Plain; !strings.Contains(got, "Nobody online could put your German into English just now, so this was drawn as you wrote it.") {
		t.Error(got)
	}
	st.pool.words = "naked"
	if got := st.say("/imagine ein nacktes Kind im Wald").Text.Plain; !strings.HasPrefix(got, "I cannot do that") || len(st.pool.jobs) != 1 {
		t.Errorf("%s, %d jobs", got, len(st.pool.jobs))
	}
	if got := st.say("/imagine das Kind auf dem Bild").Text.Plain; !strings.HasPrefix(got, "I cannot do that") || st.pool.jobs[len(st.pool.jobs)-1].Kind != protocol.Translate {
		t.Errorf("English that may not be drawn: %s", got)
	}
	st.overview, st.pool.model = gallery("z-image-turbo"), "z-image-turbo"
	if st.say("/imagine 雪地里的狐狸"); st.pool.jobs[len(st.pool.jobs)-1].Image.Prompt != "雪地里的狐狸" {
		t.Errorf("a model that reads Chinese got %+v", st.pool.jobs[len(st.pool.jobs)-1].Image)
	}
}

// Stop while the wish is being translated: one final, nothing is drawn.
func TestStopDuringTheTranslationOfAWish(t *testing.T) {
	st := open(t, func(h *commands.House) {
		h.Draw = imagegen.New(imagegen.Config{Jobs: new(painter)})
	})
	st.overview, st.foreign = gallery("sdxl"), map[string]string{"ein Fuchs": "de"}
	st.translate = func(ctx context.Context, _ translate.Request, _ func(workers.Event)) (translate.Translation, error) {
		<-ctx.Done()
		return translate.Translation{}, fmt.Errorf("translate: %w", context.Cause(ctx))
	}
	st.emit(bot.Event{Text: bot.Plain("/imagine ein Fuchs")})
	m := st.watch("Putting your German into English")
	st.pressAs(m, "rita", "Stop", community.Everyone)
	if got := st.final().Text.Plain; got != "Stopped." {
		t.Error(got)
	}
}

// What the model thought is no part of the answer nor of what later questions carry; a button shows it to whoever may press, alone.
func TestReasoningIsShownInPrivateOnly(t *testing.T) {
	s := open(t)
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		return ask.Answer{Markdown: "42", Reasoning: "First **six**, then seven.", Result: result(12)}, nil
	}
	m := s.say("/ask six times seven?")
	if strings.Contains(m.Text.Plain, "six") || labels(m) != "Regenerate, Show reasoning" {
		t.Errorf("%s [%s]", m.Text.Plain, labels(m))
	}
	private := s.press(m, "Show reasoning")
	if private.Only != s.platform.User("rita") || !strings.HasSuffix(private.Text.Plain, "\n\nFirst six, then seven.") {
		t.Errorf("for %q: %s", private.Only, private.Text.Plain)
	}
	s.pressAs(m, "ken", "Show reasoning", community.Everyone)
	if got := s.final().Text.Plain; !strings.HasPrefix(got, "That belongs to somebody else.") {
		t.Error(got)
	}
}

// Whoever chose a model goes on with it by reply, Regenerate and Continue; another one answers when it is gone, and notes say what is different.
func TestConversationKeepsItsModel(t *testing.T) {
	s := open(t)
	s.answer = func(_ context.Context, q ask.Question, _ func(ask.Draft)) (ask.Answer, error) {
		a := ask.Answer{Markdown: "Soup", Cut: true, Result: result(12)}
		if q.Else {
			a.Missed, a.Asked, a.Strayed, a.Lost = q.Model, "de", "en", true
		}
		return a, nil
	}
	first := s.say("/ask model:qwen3:4b what is for dinner?")
	s.emit(bot.Event{Text: bot.Plain("and then?"), ReplyTo: first.ID, User: s.platform.User("ken"), Name: "Ken"})
	second := s.final()
	s.pressAs(second, "ken", "Continue", community.Everyone)
	third := s.final()
	s.emit(bot.Event{Text: bot.Plain("and after that?"), ReplyTo: third.ID})
	s.final()
	for i, q := range s.questions {
		if q.Model != "qwen3:4b" || q.Else != (i > 0) || q.GoOn != (i == 2) {
			t.Errorf("question %d: %+v", i, q)
		}
	}
	if q := s.questions; q[2].Parent != q[1].Request || q[3].Parent != q[2].Request {
		t.Errorf("asked %+v", q)
	}
	want := "I no longer have what was said before, so this answer stands alone.\nNobody online has qwen3:4b now, so llama3.1:8b answered.\n" +
		"You asked in German and the answer is in English. “Regenerate” tries once more.\nThe answer reached its length limit."
	if !strings.Contains(second.Text.Plain, want) {
		t.Error(second.Text.Plain)
	}
}

// Two people reply to one answer: two branches, each with its own past, also after a restart.
func TestBranchesSurviveARestart(t *testing.T) {
	st := openStudio(t)
	st.pool.model = "llama3.1:8b"
	texts := func(j workers.Job) string {
		var all []string
		for _, m := range j.Chat.Messages[1:] {
			all = append(all, m.Text)
		}
		return strings.Join(all, " | ")
	}
	first := st.say("/ask one")
	st.restart(t)
	for _, user := range []string{"ken", "eve"} {
		st.emit(bot.Event{Text: bot.Plain("two of " + user), ReplyTo: first.ID, User: st.platform.User(user), Name: user})
		branch := st.final()
		st.emit(bot.Event{Text: bot.Plain("three"), ReplyTo: branch.ID})
		st.final()
	}
	for i, want := range []string{"one", "one | a1 | two of ken", "one | a1 | two of ken | a2 | three", "one | a1 | two of eve", "one | a1 | two of eve | a4 | three"} {
		if got := texts(st.pool.jobs[i]); got != want {
			t.Errorf("question %d carried %s, want %s", i, got, want)
		}
	}
}

// The album cannot be read: that is an error, not a picture that is gone.
type brokenAlbum struct{}

func (brokenAlbum) Open(string) (io.ReadSeekCloser, error) { return nil, fs.ErrPermission }
func (brokenAlbum) Remove(string) error                    { return fs.ErrPermission }

func TestDeleteThatFailsLeavesThePicture(t *testing.T) {
	s := open(t, func(h *commands.House) { h.Album = brokenAlbum{} })
	s.draw = func(context.Context, imagegen.Request, func(workers.Event)) (imagegen.Drawing, error) {
		return imagegen.Drawing{Pictures: []imagegen.Picture{{Name: "abc.png"}}, Result: result(14)}, nil
	}
	m := s.say("/imagine a fox")
	if got := s.press(m, "Delete").Text.Plain; !strings.HasPrefix(got, "Something went wrong on my side.") {
		t.Error(got)
	}
	if now := s.platform.Messages("")[0]; len(now.Pictures) != 1 {
		t.Errorf("%s", shown(now))
	}
}

// What failed in passing can be tried once more exactly as it was asked for, also after a restart; what is wrong in itself cannot.
func TestFailureCanBeTriedAgain(t *testing.T) {
	st := openStudio(t)
	st.pool.fails = fault.New(fault.Expired, "kind", protocol.Image)
	failed := st.say("/imagine a fox --seed 7 --ar 16:9")
	if !strings.HasPrefix(failed.Text.Plain, "Nobody could draw that in time") || labels(failed) != "Try again" {
		t.Errorf("%s [%s]", failed.Text.Plain, labels(failed))
	}
	asked := st.say("/ask what is for dinner?")
	if labels(asked) != "Try again" {
		t.Errorf("%s [%s]", asked.Text.Plain, labels(asked))
	}
	st.pool.fails = nil
	st.restart(t)
	if m := st.press(failed, "Try again"); len(m.Pictures) != 1 || m.ReplyTo != failed.ReplyTo {
		t.Errorf("%s", shown(m))
	}
	if i := st.pool.jobs[0].Image; i.Seed != 7 || i.Width != 1344 && i.Width != 1024 {
		t.Errorf("drew %+v", i)
	}
	if m := st.press(asked, "Try again"); !strings.HasPrefix(m.Text.Plain, "a2") {
		t.Errorf("%s", shown(m))
	}
	for _, typed := range []string{"/imagine a nude child", "/imagine a fox --ar 0:1", "/ask"} {
		if m := st.say(typed); len(m.Buttons) != 0 {
			t.Errorf("%s may be tried again: %s", typed, labels(m))
		}
	}
}

// The process ends while a translated wish is drawn: the next one finds both jobs under their keys, and nothing is drawn or paid twice.
func TestKillWhileATranslatedWishIsDrawn(t *testing.T) {
	st := openStudio(t)
	begun := make(chan struct{})
	st.pool.words, st.pool.begun = "a red fox", begun
	st.emit(bot.Event{Text: bot.Plain("/imagine ein roter Fuchs im Schnee")})
	<-begun
	st.restart(t)
	st.seen = 0 // its message is there and goes on
	m := st.final()
	var keys []string
	for _, j := range st.pool.asked {
		_, step, _ := strings.Cut(j, ":")
		keys = append(keys, step)
	}
	if got := strings.Join(keys, " "); got != "translate:en draw translate:en draw" || st.pool.asked[0] != st.pool.asked[2] || st.pool.asked[1] != st.pool.asked[3] {
		t.Errorf("asked for %q", st.pool.asked)
	}
	if all := st.platform.Messages(""); len(all) != 1 || !strings.HasPrefix(m.Text.Plain, "ein roter Fuchs im Schnee\nDrawn from an English translation") {
		t.Errorf("%d messages, %s", len(all), m.Text.Plain)
	}
}

// Who is refused for want of a machine is told what the others can do.
func TestRefusalSaysWhatIsPossible(t *testing.T) {
	s := open(t)
	s.overview = gallery("sdxl")
	s.answer = func(context.Context, ask.Question, func(ask.Draft)) (ask.Answer, error) {
		return ask.Answer{}, fault.New(fault.NoWorker, "kind", protocol.Chat)
	}
	if got := s.say("/ask hm?").Text.Plain; !strings.HasSuffix(got, "\n1 machine is online and can draw.") {
		t.Error(got)
	}
	s.overview = workers.Overview{}
	if got := s.say("/ask hm?").Text.Plain; strings.Contains(got, "\n") {
		t.Error(got)
	}
}
