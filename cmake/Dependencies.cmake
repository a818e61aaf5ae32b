# Every dependency, found once. The packages are those of scripts/install_deps.sh.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED CONFIG COMPONENTS url)
find_package(OpenSSL 3.0 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED CONFIG)
find_package(spdlog REQUIRED CONFIG)
find_package(CLI11 REQUIRED CONFIG)

# Its CMake package also demands libcurl and civetweb, which only its push and pull parts need.
pkg_check_modules(PROMETHEUS_CPP REQUIRED IMPORTED_TARGET prometheus-cpp-core)
add_library(prometheus-cpp::core ALIAS PkgConfig::PROMETHEUS_CPP)

# Used as headers alone: its library is built with exceptions for bad files, and ours is a value.
find_path(SVC_TOMLPLUSPLUS toml++/toml.h REQUIRED)

pkg_check_modules(SIMDJSON REQUIRED IMPORTED_TARGET simdjson)

pkg_check_modules(SYSTEMD IMPORTED_TARGET libsystemd)
if(NOT SYSTEMD_FOUND)
  message(STATUS "libsystemd not found: daemons will not notify systemd")
endif()

if(SVC_JEMALLOC)
  pkg_check_modules(JEMALLOC IMPORTED_TARGET jemalloc)
endif()

if(SVC_BUILD_TESTS OR SVC_FUZZ)
  find_package(GTest REQUIRED CONFIG)
endif()
if(SVC_BUILD_BENCH)
  find_package(benchmark REQUIRED CONFIG)
endif()

# The system's interpreter first: python3-jsonschema is installed for it, not for a private one in PATH.
find_program(SVC_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(SVC_PYTHON NAMES python3)
