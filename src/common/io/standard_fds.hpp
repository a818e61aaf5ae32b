// Standard input, output and error.
#pragma once

namespace svc {

/// Opens /dev/null for those of the three that were closed when the program was started (`2>&-`). Otherwise the next
/// files and sockets that are opened would get their numbers, and with them what is meant for the standard error. To be
/// called before anything is opened, while there is one thread.
void occupy_standard_fds();

}  // namespace svc
