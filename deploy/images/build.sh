#!/usr/bin/env bash
# Builds the images: wheels are made here, once, and each image is built from its own without a network.
#   deploy/images/build.sh [IMAGE…]        gateway admin architect builder validator rag cli; without one all of them
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
release=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
image=${PYTHON_IMAGE:-python:$release-slim}   # the same Python as that of the wheels
version=$("$python" -c 'from importlib.metadata import version; print(version("worksite-common"))')
revision=$(git rev-parse HEAD)$(git diff --quiet HEAD || echo -changed)   # wheels are made of the files that lie here
wheels=.worksite/images/wheels
declare -A files=(
    [gateway]="policies" [admin]="" [architect]="prompts blueprints" [builder]="prompts blueprints"
    [validator]="" [rag]="blueprints" [cli]=""
)
declare -A unused=([validator]="uvloop")   # it runs on asyncio
declare -A megabytes=([rag]=450)   # on top of the base; rag's models, a layer of their own, do not count
few_megabytes=150

make_wheels() {
    echo "making the wheels"
    rm -rf "$wheels" && mkdir -p "$wheels"
    "$python" -m pip wheel --quiet --no-build-isolation --constraint constraints.txt --wheel-dir "$wheels" \
        libs/common libs/cli services/*/
}

lay_out() {
    local context=.worksite/images/$1
    rm -rf "$context" && mkdir -p "$context/files" "$context/wheels"
    "$python" -m pip download --quiet --no-index --find-links "$wheels" --dest "$context/wheels" "worksite-$1"
    for wheel in ${unused[$1]:-}; do rm "$context/wheels/$wheel"-*.whl; done
    "$python" deploy/images/sbom.py "$1" "$context/wheels" > "$context/files/sbom.json"
    for folder in ${files[$1]}; do git archive HEAD "$folder" | tar -x -C "$context/files"; done
    cp deploy/images/dpkg.cfg "$context/"
    if [ "$1" = validator ]; then cp -R .worksite/wheelhouse "$context/files/wheelhouse"; fi
}

dockerfile() {
    if [ "$1" = cli ]; then echo libs/cli/Dockerfile; else echo "services/$1/Dockerfile"; fi
}

build() {
    lay_out "$1"
    echo "building worksite/$1:$version on $image"
    docker build --quiet --file "$(dockerfile "$1")" --tag "worksite/$1:$version" \
        --build-arg PYTHON_IMAGE="$image" --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        ".worksite/images/$1"
    check_size "$1"
}

check_size() {
    local models total base added limit=${megabytes[$1]:-$few_megabytes}
    models=$(docker image history --human=false --no-trunc --format '{{.Size}} {{.CreatedBy}}' "worksite/$1:$version" \
        | awk '/COPY .*\/srv\/worksite\/models/ {sum += $1} END {print sum + 0}')
    total=$(docker image inspect --format '{{.Size}}' "worksite/$1:$version")
    base=$(docker image inspect --format '{{.Size}}' "$image")
    added=$(((total - base - models) / 1000000))
    echo "worksite/$1: $added MB on top of $image"
    if [ "$added" -ge "$limit" ]; then echo "worksite/$1 may have $limit MB" >&2; return 1; fi
}

images=("$@")
if [ $# = 0 ]; then images=(gateway admin architect builder validator rag cli); fi
make_wheels
for image_name in "${images[@]}"; do build "$image_name"; done
