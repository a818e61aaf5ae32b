#include "ctl/console.hpp"

#include <cstdio>

namespace svc::ctl {

ExitCode complain(const char* command, const std::string& sentence, ExitCode code) {
  std::fprintf(stderr, "infinilm-ctl %s: %s\n", command, sentence.c_str());
  return code;
}

void say(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

}  // namespace svc::ctl
