package kinds

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"provision/internal/shell"
	"provision/internal/steps"
)

// layersJSON is how an engine prints the layers of an image.
func (c imageContent) layersJSON() string {
	if len(c.Layers) == 0 {
		return ""
	}
	text, err := json.Marshal(c.Layers)
	if err != nil {
		panic(err) // strings can be written
	}
	return string(text)
}

// probeLoad looks at the images under the names, and asks the engine what it loads only if one of them is not there already: that
// takes longer than the look.
func (s *dockerImage) probeLoad() string {
	var b strings.Builder
	b.WriteString(dockerProbe + shell.Strip(dockerImageScriptSource) + "image_lacks=\n")
	var same []string
	for _, image := range s.image.Images {
		same = append(same, "*"+shell.Quote(`created "`+image.Created.Format(time.RFC3339Nano)+`"`)+"*"+shell.Quote(image.layersJSON())+"*")
	}
	fmt.Fprintf(&b, "for image_title in %s; do\n\timage_look \"$image_title\"\n\tcase $docker_out in\n\t%s) ;;\n\t*) image_lacks=yes ;;\n\tesac\ndone\n", shell.Words(s.titles()...), strings.Join(same, " | "))
	several := ""
	if s.image.Docker == nil || len(s.image.Images) > 1 {
		several = "yes"
	}
	fmt.Fprintf(&b, "if [ -n \"$image_lacks\" ]; then\n\timage_engine %s\n", shell.Quote(several))
	for _, image := range s.image.Images {
		if image.layersJSON() != "" {
			fmt.Fprintf(&b, "\tlayers=%s\n\tfor image_id in %s; do\n\t\tif image_is \"$image_id\"; then say stored \"$image_id\"; fi\n\tdone\n", shell.Quote(image.layersJSON()), shell.Words(image.IDs...))
		}
	}
	b.WriteString("fi\n")
	return b.String()
}

// A hostImage is what the host has under one name.
type hostImage struct {
	id string // "none" if there is no image
	imageContent
}

// hostImages reads what the probe printed, one for each name.
func hostImages(obs steps.Observation) ([]hostImage, error) {
	ids, created, rootfs, config := obs.All("id"), obs.All("created"), obs.All("rootfs"), obs.All("config")
	var list []hostImage
	for _, id := range ids {
		image := hostImage{id: id}
		if id != "none" {
			if len(rootfs) == 0 || len(config) == 0 {
				return nil, errNoImageSaid
			}
			var when string
			if len(created) > 0 {
				when, created = created[0], created[1:]
			}
			var files struct{ Layers []string }
			if err := json.Unmarshal([]byte(rootfs[0]), &files); err != nil {
				return nil, fmt.Errorf("the layers of an image on the host: %w", err)
			}
			content, err := newImageContent(files.Layers, json.RawMessage(when), json.RawMessage(config[0]))
			if err != nil {
				return nil, fmt.Errorf("an image on the host: %w", err)
			}
			image.imageContent, rootfs, config = content, rootfs[1:], config[1:]
		}
		list = append(list, image)
	}
	return list, nil
}

// choose returns the image of the archive that the host will have.
func (s *dockerImage) choose(f *steps.Facts, obs steps.Observation) (*archivedImage, error) {
	host := machinePlatform(f.Arch)
	if engine, seen := obs.Get("engine"); seen {
		if p, ok := parsePlatform(engine); ok {
			host = p
		}
	}
	if s.Platform != nil {
		host = *s.Platform
	}
	images := s.image.Images
	if store, _ := obs.Get("store"); store == "layers" {
		if s.image.Docker == nil {
			return nil, errors.New("the archive has the OCI layout alone, which this engine does not load: only engines with containerd's image store do. " +
				"Write it with docker save, with podman save --format docker-archive, or with skopeo copy … docker-archive:FILE:NAME")
		}
		images = []*archivedImage{s.image.Docker}
	}
	var offered []string
	for _, exact := range []bool{true, false} {
		for _, image := range images {
			if host.runs(image.Platform) && (!exact || image.Platform.Architecture == host.Architecture) {
				return image, nil
			}
		}
	}
	for _, image := range images {
		offered = append(offered, image.Platform.String())
	}
	return nil, fmt.Errorf("the archive holds an image for %s, and this host is %s. Build or pull it with --platform %s before it is saved; if the host emulates the other, set platform",
		strings.Join(offered, ", "), host, host)
}

func (s *dockerImage) planLoad(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	lacking := len(obs.Needs()) > 0
	there, err := hostImages(obs)
	if err != nil {
		return steps.Change{}, err
	}
	titles := s.titles()
	if !lacking && len(there) != len(titles) {
		return steps.Change{}, errNoImageSaid
	}
	image, err := s.choose(f, obs)
	if err != nil {
		return steps.Change{}, err
	}
	change := steps.Change{Action: steps.NoOp}
	stored := "" // the id by which the host has it already
	var names []string
	for i, title := range titles {
		attr := steps.Attr{Name: "image", BeforeMissing: true, After: title + ", " + image.age()}
		if lacking || there[i].id == "none" {
			change.Action = steps.Create
		} else if why := image.differs(there[i].imageContent); why != "" {
			attr.Before, attr.BeforeMissing = shortID(there[i].id)+", "+there[i].age(), false
			attr.After += " (" + why + ")"
		} else {
			stored = there[i].id
			continue
		}
		names = append(names, title)
		change.Diff = append(change.Diff, attr)
	}
	if len(names) == 0 {
		return change, nil
	}
	if len(names) < len(titles) || change.Action != steps.Create {
		change.Action = steps.Update
	}
	if id, seen := obs.Get("stored"); seen && stored == "" && s.same(image, id) {
		stored = id
	}
	if stored != "" {
		change.Reason = "it is there already, without the name"
		change.Ops = []steps.Op{steps.Run{Script: shell.Strip(dockerImageScriptSource) + "image_name " + shell.Words(append([]string{stored}, names...)...) + "\n"}}
		return change, nil
	}
	change.Reason = fmt.Sprintf("from %s, %s", path.Base(s.Archive.Path), size(s.Archive.Size))
	script := fmt.Sprintf("layers=%s\nids=%s\nimage_load %s\n", shell.Quote(image.layersJSON()), shell.Quote(strings.Join(image.IDs, " ")), shell.Words(titles...))
	change.Ops = []steps.Op{steps.Run{Script: shell.Strip(dockerImageScriptSource) + script, Stdin: &steps.Content{Local: s.Archive}}}
	if lacking {
		change.Needs = obs.Needs()
		if s.image.Docker != nil && len(s.image.Images) == 1 {
			change.Predict = []steps.Observation{s.nothingThere(f)}
		}
	}
	return change, nil
}

// nothingThere is what a new engine says.
func (s *dockerImage) nothingThere(f *steps.Facts) steps.Observation {
	var lines []string
	for range s.titles() {
		lines = append(lines, "id none")
	}
	return steps.Observe(append(lines, "engine "+machinePlatform(f.Arch).String())...)
}

// same tells whether an id names this image of the archive, and no other of the same layers.
func (s *dockerImage) same(image *archivedImage, id string) bool {
	for _, own := range image.IDs {
		if own == id {
			return true
		}
	}
	return false
}

// age tells when an image was made.
func (c imageContent) age() string {
	if c.Created.IsZero() {
		return "of no date"
	}
	return "of " + c.Created.UTC().Format("2006-01-02 15:04:05")
}
