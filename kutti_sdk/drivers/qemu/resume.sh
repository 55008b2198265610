# Run as root inside of a host that goes on from a saved state, by the guest agent.
# Before it stand: seed, now, and where the host is to be another one: name, mac,
# machine_id, host_key, host_key_pub, authorized_key, home, owner, hosts, resolver,
# network. All but now, mac, home and owner are base64. Doing it twice does no harm.
set -eu
umask 077

# All that go on from one state know the same random numbers, and the kernel (6.1)
# does not notice. New ones are stirred in, and the generator is told to use them at
# once: RNDRESEEDCRNG, random(4).
printf %s "$seed" | base64 -d | perl -e '
    local $/; my $seed = <STDIN>;
    open(my $random, ">", "/dev/urandom") or die "/dev/urandom: $!";
    syswrite($random, $seed) or die "/dev/urandom: $!";
    ioctl($random, 0x5207, 0) or die "RNDRESEEDCRNG: $!";'
date -u -s "@$now" >/dev/null

[ -n "${machine_id:-}" ] || exit 0

put() { # what, mode, path
    printf %s "$1" | base64 -d >"$3.new"
    chmod "$2" "$3.new"
    mv "$3.new" "$3"
}
put "$host_key" 0600 /etc/ssh/ssh_host_ed25519_key
put "$host_key_pub" 0644 /etc/ssh/ssh_host_ed25519_key.pub
put "$authorized_key" 0600 "$home/.ssh/authorized_keys"
chown "$owner" "$home/.ssh/authorized_keys"
put "$hosts" 0644 /etc/hosts
put "$resolver" 0644 /etc/resolv.conf
put "$network" 0644 /etc/systemd/network/10-kutti.network
put "$machine_id" 0444 /etc/machine-id
sync

# The SSH server reads its key when it starts, and when it is asked to.
kill -HUP "$(cat /run/sshd.pid)"

# The card changes its address while it is up; who is known by an old one is forgotten.
card=$(ip -o -4 addr show scope global | { read -r _ name _; echo "$name"; })
echo 1 >"/proc/sys/net/ipv4/conf/$card/arp_notify" # tell the others
ip link set dev "$card" address "$mac"
ip neigh flush dev "$card"
