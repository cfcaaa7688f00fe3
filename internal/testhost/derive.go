package testhost

import (
	"context"
	"strings"
)

// installScript adds packages by apt, whose caches do not stay.
const installScript = aptScript + `
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq --no-install-recommends install $PACKAGES >/dev/null
`

// derive makes the image in a container of the one that it is made from. It needs the recipe's lock, like build.
func (r recipe) derive(ctx context.Context, docker engine) error {
	base, err := r.from.ensure(ctx, docker)
	if err != nil {
		return err
	}
	b, err := newBox(ctx, docker, "image-"+r.name, base, r.files)
	if err != nil {
		return err
	}
	defer b.remove(ctx)
	if len(r.packages) > 0 {
		env, err := aptOf(r.suite)(ctx, docker)
		if err != nil {
			return err
		}
		env = append(env, "PACKAGES="+strings.Join(r.packages, " "))
		if err := b.exec(ctx, env, installScript+trimScript); err != nil {
			return err
		}
	}
	if err := b.exec(ctx, nil, r.setup); err != nil {
		return err
	}
	// An image inherits the labels of its container: hosts of the image would pass for those of the process that made it.
	unlabelled := []string{"--change", "LABEL " + ownerLabel + "="}
	_, err = docker.run(ctx, nil, append(append(append([]string{"commit"}, r.change()...), unlabelled...), b.name, r.tag())...)
	return err
}

func (r recipe) pull(ctx context.Context, docker engine) error {
	_, err := docker.run(ctx, nil, "pull", "--quiet", r.image)
	return err
}
