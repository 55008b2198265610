# Run as root by the first log-in to a host whose image does not take its identity
# from credentials. It may be cut off after any line and is then run again: what
# lets us in comes first, then the passwords are closed, and the host key, by which
# the host is known to be ours from then on, comes last.
# The lines before these give, in base64: name, machine_id, authorized_key, host_key,
# host_key_pub, hosts, sshd_config.
set -eu
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin

put() {  # PATH MODE CONTENT: replaces the file as a whole
    rm -f "$1.kutti"
    (umask 077 && printf %s "$3" | base64 -d > "$1.kutti")
    chmod "$2" "$1.kutti"
    mv -f "$1.kutti" "$1"
}

mkdir -p -m 700 /root/.ssh
put /root/.ssh/authorized_keys 600 "$authorized_key"

put /etc/hostname 644 "$name"
cat /etc/hostname > /proc/sys/kernel/hostname
put /etc/hosts 644 "$hosts"
put /etc/machine-id 444 "$machine_id"
[ ! -d /var/lib/dbus ] || ln -sf /etc/machine-id /var/lib/dbus/machine-id

# Before all other settings, because of several values sshd takes the first.
config=/etc/ssh/sshd_config
if ! grep -q '^# Set by kutti_sdk$' "$config"; then
    { echo '# Set by kutti_sdk'; printf %s "$sshd_config" | base64 -d; cat "$config"; } > "$config.kutti"
    sshd -t -f "$config.kutti"
    mv -f "$config.kutti" "$config"
fi
for user in $(grep '^[^:]*:[$]' /etc/shadow | cut -d: -f1); do
    usermod -L "$user"
done

put /etc/ssh/ssh_host_ed25519_key.pub 644 "$host_key_pub"
put /etc/ssh/ssh_host_ed25519_key 600 "$host_key"
rm -f /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key* /etc/ssh/ssh_host_dsa_key*
sync
systemctl reload ssh 2> /dev/null || systemctl reload sshd
