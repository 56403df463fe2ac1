"""Builds the one extension module: the Cython bindings over every C file in csrc/.

CKSTORE_SANITIZE=1 builds with AddressSanitizer and UndefinedBehaviourSanitizer.
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

COMPILE = ["-O3", "-std=c11", "-Wall", "-Wextra", "-Wvla", "-Wconversion", "-ffp-contract=off", "-fno-math-errno"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]

sanitize = SANITIZE if os.environ.get("CKSTORE_SANITIZE") == "1" else []
bindings = sorted(glob("ckstore/_native/*.pyx") + glob("ckstore/_native/*.px[di]"))

kernels = Extension(
    "ckstore._native.kernels",
    sources=["ckstore/_native/kernels.pyx", *sorted(glob("csrc/**/*.c", recursive=True))],
    include_dirs=["csrc"],
    depends=bindings + sorted(glob("csrc/**/*.h", recursive=True)),
    # Interpreters are often built with -fwrapv, which would hide signed overflow from the sanitizer.
    extra_compile_args=COMPILE + (["-g", "-fno-wrapv", "-UNDEBUG", *sanitize] if sanitize else []),
    extra_link_args=sanitize,
)

setup(ext_modules=cythonize([kernels], language_level=3))
