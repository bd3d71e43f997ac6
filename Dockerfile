# The executor's image. By default with the torch of the older YMIR executors:
#   docker build -t ymir-mmsegmentation .
# With a current one, by any tag of pytorch/pytorch that has torch 1.8 to 2.13 and Python 3.8 to 3.13:
#   docker build -t ymir-mmsegmentation --build-arg BASE_IMAGE=pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime .
ARG BASE_IMAGE=pytorch/pytorch:1.8.0-cuda11.1-cudnn8-runtime
# hadolint ignore=DL3006
FROM ${BASE_IMAGE}

ARG BASE_IMAGE
# Which state of the sources it is made of, for example --build-arg REVISION="$(git rev-parse HEAD)".
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ymir-mmsegmentation" \
      org.opencontainers.image.description="YMIR executor for semantic segmentation: train, infer and mine" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.licenses="Apache-2.0"

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# A package index other than pypi.org, for example a mirror nearby.
ARG PIP_INDEX_URL

# No apt: the package lists of the older base images are signed with a key that has expired, and every wheel brings the
# libraries it needs.
WORKDIR /app
COPY requirements.txt ./

# An environment of its own, which sees the torch of the base image. So pip neither meets conda's packages, which it
# cannot uninstall, nor the system Python of newer images, which it may not touch. torch is left out of the pins, and
# held at the base image's version.
RUN python3 -m venv --system-site-packages --without-pip /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    LANG=C.UTF-8
# The pip of the Python 3.8 images is from 2020; 25.0.1 is the last one for Python 3.8. ymir-exc asks for Python 3.8.10
# while the default base image has 3.8.8, so it goes in without that check, after the pinned packages it needs.
RUN python3 -m pip install --no-cache-dir 'pip==25.0.1; python_version < "3.9"' \
    && python3 -c 'import torch; print("torch==" + torch.__version__)' > /tmp/constraints.txt \
    && grep -v -e '^torch==' -e '^ymir-exc==' requirements.txt > /tmp/requirements.txt \
    && grep '^ymir-exc==' requirements.txt > /tmp/ymir-exc.txt \
    && python3 -m pip install --no-cache-dir --constraint /tmp/constraints.txt --requirement /tmp/requirements.txt \
    && python3 -m pip install --no-cache-dir --no-deps --ignore-requires-python --requirement /tmp/ymir-exc.txt \
    && rm /tmp/constraints.txt /tmp/requirements.txt /tmp/ymir-exc.txt

COPY start.py ./
COPY configs configs
COPY mmseg mmseg
COPY tools tools
COPY ymir ymir
COPY ymir/img_man /img-man
COPY tools/start.sh /usr/bin/start.sh

# The container may run as any user, who cannot write bytecode here. The imports find out now whether the base image
# lacks something.
RUN chmod -R a+rX /app /img-man \
    && chmod a+rx /usr/bin/start.sh \
    && python3 -m compileall -q /app \
    && python3 -c 'import cv2.ximgproc, pycocotools.mask, tensorboard, mmseg.apis, ymir.task'

CMD ["bash", "/usr/bin/start.sh"]
