#!/usr/bin/env bash
# Builds the images: wheels are made here, once, and each image is built from its own without a network.
#   deploy/images/build.sh [IMAGE…]        gateway admin architect builder validator rag cli; without one all of them
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
release=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
image=${PYTHON_IMAGE:-python:$release-slim}   # the same Python as that of the wheels
version=$("$python" -c 'from importlib.metadata import version; print(version("worksite-common"))')
revision=$(git rev-parse HEAD)
wheels=.worksite/images/wheels
declare -A files=(
    [gateway]="policies" [admin]="" [architect]="prompts blueprints" [builder]="prompts blueprints"
    [validator]="" [rag]="blueprints" [cli]=""
)

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
    "$python" deploy/images/sbom.py "$1" "$context/wheels" > "$context/files/sbom.json"
    for folder in ${files[$1]}; do git archive HEAD "$folder" | tar -x -C "$context/files"; done
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
}

images=("$@")
if [ $# = 0 ]; then images=(gateway admin architect builder validator rag cli); fi
make_wheels
for image_name in "${images[@]}"; do build "$image_name"; done
