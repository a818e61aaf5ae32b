#include "ctl/io/config_output.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "common/io/replace_file.hpp"

namespace svc::ctl {
namespace {

bool has_text(const std::string& path, std::string_view text) {
  std::ifstream file(path, std::ios::binary);
  return file && std::string(std::istreambuf_iterator<char>(file), {}) == text;
}

}  // namespace

Result<bool> write_config(const std::string& path, std::string_view text) {
  std::error_code unknown;
  const auto real = std::filesystem::canonical(path, unknown);
  const std::string target = unknown ? path : real.string();
  struct ::stat facts {};
  const bool known = ::stat(target.c_str(), &facts) == 0;
  if (known && !S_ISREG(facts.st_mode)) return invalid("'" + path + "' is no file");
  if (known && has_text(target, text)) return false;
  const auto written = replace_file(target, text, known ? facts.st_mode & 0777U : 0644U);
  if (!written) return written.error();
  return true;
}

}  // namespace svc::ctl
