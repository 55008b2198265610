# Run as root inside of a host that goes on from a saved state, by the guest agent. In
# Perl, which every Debian has: a shell would start thirty programs for it, which an
# emulated host feels. What is given stands at the end, one name=value in a line; where
# the host is to be another one than was saved, there is more than seed and behind. Contents
# are hexadecimal: each module that is loaded costs an emulated host a tenth of a second.
# Doing it twice does no harm.
use strict;
use warnings;

my %given = map { chomp; split(/=/, $_, 2) } <DATA>;

# All that go on from one state know the same random numbers, and the kernel (6.1)
# does not notice. New ones are stirred in, and the generator is told to use them at
# once: RNDRESEEDCRNG, random(4).
open(my $random, ">", "/dev/urandom") or die "/dev/urandom: $!";
syswrite($random, pack("H*", $given{seed})) or die "/dev/urandom: $!";
ioctl($random, 0x5207, 0) or die "RNDRESEEDCRNG: $!";

# clock_gettime(2) and clock_settime(2), by their numbers on x86-64. What is given is how
# far the clock is behind: the time of now would be old when this runs on a busy machine.
my $clock = pack("q2", 0, 0);
syscall(228, 0, $clock) == 0 or die "clock_gettime: $!";
my ($seconds, $nanoseconds) = unpack("q2", $clock);
my $now = $seconds * 1_000_000_000 + $nanoseconds + $given{behind};
$clock = pack("q2", int($now / 1_000_000_000), $now % 1_000_000_000);
syscall(227, 0, $clock) == 0 or die "clock_settime: $!";

exit 0 unless $given{machine_id};

put("host_key", 0600, "/etc/ssh/ssh_host_ed25519_key");
put("host_key_pub", 0644, "/etc/ssh/ssh_host_ed25519_key.pub");
put("authorized_key", 0600, "$given{home}/.ssh/authorized_keys");
put("hosts", 0644, "/etc/hosts");
put("resolver", 0644, "/etc/resolv.conf");
put("network", 0644, "/etc/systemd/network/10-kutti.network");
put("machine_id", 0444, "/etc/machine-id");

become_new() if $given{name};

# The SSH server reads its key when it starts, and when it is asked to.
open(my $server, "<", "/run/sshd.pid") or die "/run/sshd.pid: $!";
kill("HUP", int(<$server>)) == 1 or die "the SSH server is gone";

# The card changes its address while it is up, and tells the others; who was known by
# an old address is forgotten.
my ($card) = grep { -e "/sys/class/net/$_/device" } names("/sys/class/net");
open(my $notify, ">", "/proc/sys/net/ipv4/conf/$card/arp_notify") or die "arp_notify: $!";
print $notify "1\n";
close($notify) or die "arp_notify: $!";
open(my $ip, "|-", "ip", "-batch", "-") or die "ip: $!";
print $ip "link set dev $card address $given{mac}\n";
print $ip $given{name}
    ? "address replace $given{address} broadcast + dev $card\n"
        . "route replace default via $given{gateway} dev $card proto static\n"
    : "neigh flush dev $card\n";
close($ip) or die "ip failed";

# A host of a template is nobody's copy: it has a name of its own, and nobody knows it yet.
sub become_new {
    open(my $name, ">", "/proc/sys/kernel/hostname") or die "hostname: $!";
    print $name $given{name};
    close($name) or die "hostname: $!";

    # Kubernetes tells machines by their UUID, which the firmware wrote when the template
    # booted. So a file with the right one is mounted over: mount(2), number 165, MS_BIND.
    my ($file, $over) = ("/run/product_uuid", "/sys/class/dmi/id/product_uuid");
    put("uuid", 0400, $file);
    syscall(165, $file, $over, 0, 4096, 0) == 0 or die "$over: $!";

    # The journal is looked for under the machine id.
    my ($machine) = pack("H*", $given{machine_id}) =~ /(\w+)/;
    my ($journal) = names("/run/log/journal");
    my $link = "/run/log/journal/$machine";
    !$journal or -e $link or symlink($journal, $link) or die "$link: $!";
}

# Lists a folder, without what is hidden in it.
sub names {
    my ($path) = @_;
    opendir(my $folder, $path) or return;
    return grep { !/^\./ } readdir($folder);
}

# Replaces a file as a whole, and leaves it to whom it belonged.
sub put {
    my ($name, $mode, $path) = @_;
    my (undef, undef, undef, undef, $user, $group) = stat($path);
    open(my $file, ">", "$path.new") or die "$path.new: $!";
    chmod($mode, $file) and (!defined($user) or chown($user, $group, $file)) or die "$path: $!";
    print $file pack("H*", $given{$name});
    close($file) and rename("$path.new", $path) or die "$path: $!";
}

__DATA__
